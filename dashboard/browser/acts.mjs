// What people do, by keyboard where they can: each act has to be accepted by the API, and the page has to follow.

export async function act(drive) {
  const { page } = drive;
  const closed = () => page.waitForSelector("dialog[open]", { state: "detached" });
  const blur = () => page.evaluate(() => document.activeElement?.blur());
  /** Fill in the reason of the open dialog by keyboard, and send it. */
  const reason = async (text, part) => {
    await page.waitForSelector("dialog[open] form");
    await page.keyboard.type(text);
    await drive.sends(part, () => drive.press("Enter"));
    await closed();
  };
  await drive.step("go to runs and filter", async () => {
    await drive.press("g", "r");
    // The overview names runs too.
    await drive.see("main h1 >> text=Runs");
    await drive.see("main >> text=order-1");
    await drive.press("/");
    await page.keyboard.type("status:failed");
    await drive.press("Enter");
    await page.waitForURL(/status=/);
    await drive.see("main >> text=fails-1");
    await drive.press("Escape");
  });
  await drive.step("open the failed run on its failing step", async () => {
    await drive.press("j", "Enter");
    await page.waitForURL(/runs\/fails-1/);
    await drive.see("aside >> text=ValueError");
  });
  await drive.step("retry it from its step", async () => {
    await page.getByRole("button", { name: "Retry from explode" }).focus();
    await drive.press("Enter");
    await page.waitForSelector("dialog[open]");
    await drive.check();
    await drive.picture("act-retry");
    await reason("the bank is back", "/retry");
    await drive.see("aside >> text=Attempts 2");
    await blur();
  });
  await drive.step("mark a failed run as reviewed", async () => {
    await page.getByRole("button", { name: "Mark reviewed" }).click();
    await reason("paid by hand", "/review");
    await drive.see("header >> text=Done");
    await drive.see("header summary >> text=paid by hand");
    await drive.see("aside section[aria-label='What people did about explode'] >> text=the bank is back");
    await page.getByRole("button", { name: "Mark reviewed" }).waitFor({ state: "detached" });
    await page.locator("header summary").click();
    await drive.check();
    await drive.picture("act-reviewed");
    await blur();
  });
  await drive.step("change a held run", async () => {
    await drive.go("runs/held-1");
    await page.getByRole("button", { name: "Change the run" }).click();
    const dialog = page.locator("dialog[open]");
    await dialog.getByText("Nothing yet.").waitFor();
    await dialog.getByLabel("Attempts").fill("3");
    await dialog.getByLabel("Time-out of an attempt").fill("soon");
    await dialog.getByLabel("Context").fill('{"account": "DE1"}');
    await dialog.getByLabel("Reason").fill("a wrong account");
    await page.getByRole("button", { name: "Change it" }).click();
    await dialog.getByText("a time such as 90s").first().waitFor();
    await dialog.getByLabel("Time-out of an attempt").fill("2m");
    await dialog.getByText("attempts 1 → 3").waitFor();
    await dialog.getByText("context.account DE1").waitFor();
    await drive.check();
    await drive.picture("act-change");
    await drive.sends("/change", () => page.getByRole("button", { name: "Change it" }).click());
    await closed();
    await drive.see("aside >> text=a wrong account");
    await drive.see("aside >> text=attempts 1 → 3");
    await drive.check();
    await drive.picture("act-changed");
    await blur();
  });
  await drive.step("complete a held step by hand", async () => {
    await drive.see("aside >> text=Complete by hand");
    await page.getByRole("button", { name: "Complete by hand" }).click();
    const output = page.locator("dialog[open] textarea");
    await output.fill('{"receipt": ');
    await page.waitForSelector("dialog[open] >> text=This is not JSON");
    await drive.check();
    await output.fill('{"receipt": "R-1"}');
    await drive.picture("act-complete");
    await drive.sends("/complete", () => page.getByRole("button", { name: "Complete charge" }).click());
    await closed();
    await blur();
  });
  await drive.step("ask a run", async () => {
    await drive.go("runs/order-2");
    await page.getByRole("button", { name: "Ask…" }).click();
    const dialog = page.locator("dialog[open]");
    await dialog.getByLabel("Question").fill("3");
    await drive.sends("/ask/quote", () => drive.press("Enter"));
    await page.waitForSelector("dialog[open] >> text=\"total\": 6");
    await drive.look("act-ask");
    await drive.press("Escape");
    await closed();
  });
  await drive.step("send a signal", async () => {
    await drive.go("runs/gated-2");
    await page.getByRole("button", { name: "Signal go…" }).click();
    const dialog = page.locator("dialog[open]");
    await dialog.getByLabel("Data").fill('{"by": "tom"');
    await page.getByRole("button", { name: "Send it" }).click();
    await dialog.getByText("not yet JSON").waitFor();
    await drive.look("act-signal");
    await dialog.getByLabel("Data").fill('{"by": "tom"}');
    await drive.sends("/signals/go", () => page.getByRole("button", { name: "Send it" }).click());
    await closed();
    await page.waitForSelector("header >> text=Done");
    await blur();
  });
  await drive.step("start a run again with another input", async () => {
    await page.getByRole("button", { name: "Start again…" }).click();
    const dialog = page.locator("dialog[open]");
    await dialog.getByLabel("Input").fill('{"id": "again"}');
    await dialog.getByLabel("Id of the new run").fill("gated-again");
    await drive.look("act-again");
    await drive.sends("/start-again", () => page.getByRole("button", { name: "Start again", exact: true }).click());
    await closed();
    await page.waitForURL(/runs\/gated-again/);
    await drive.see("h1:has-text('gated-again')");
  });
  await drive.step("publish an event", async () => {
    await drive.press("g", "e");
    await page.getByRole("button", { name: "Publish an event" }).click();
    const dialog = page.locator("dialog[open]");
    await dialog.getByLabel("Event").fill("payment.captured");
    await dialog.getByLabel("Data").fill('{"amount": 9.5}');
    // No trigger takes it: without a key it is refused, with the remedy beside the button.
    drive.refused = 400;
    await page.getByRole("button", { name: "Publish", exact: true }).click();
    await dialog.getByText("no_key").waitFor();
    drive.refused = undefined;
    await drive.look("act-publish");
    await dialog.getByLabel("Key").fill("7");
    await drive.sends("/events", () => page.getByRole("button", { name: "Publish", exact: true }).click());
    await closed();
    await drive.go("runs/paid-7");
    await page.waitForSelector("header >> text=Done");
    await blur();
  });
  await drive.step("cancel a step", async () => {
    await drive.go("runs/paid-8?step=captured");
    await page.getByRole("button", { name: "Cancel captured" }).click();
    await page.waitForSelector("dialog[open] form");
    await drive.look("act-cancel-step");
    await reason("the customer is gone", "/steps/captured/cancel");
    await drive.see("aside h2 + .state >> text=/cancelled/i");
    await blur();
  });
  await drive.step("read a value before the end", async () => {
    await drive.go("runs/order-3?view=data&step=");
    const path = page.getByLabel("Path");
    await path.fill("ship.tracking");
    await drive.press("Enter");
    await drive.see("main >> text=Nothing is at ship.tracking yet");
    await path.fill("reserve.items");
    await drive.press("Enter");
    await drive.see("main [aria-label='value at reserve.items'] >> text=book");
    await drive.look("act-value");
    await blur();
  });
  await drive.step("take a question on, comment on it, and hand it over", async () => {
    await drive.go("inputs?run=order-4&wait=approve");
    await page.getByRole("button", { name: "Take it on…" }).click();
    await page.waitForSelector("dialog[open] form");
    await drive.sends("/claim", () => page.getByRole("button", { name: "Take it on", exact: true }).click());
    await closed();
    await drive.see("main >> text=Taken by");
    await page.getByRole("button", { name: "Comment…" }).click();
    await page.locator("dialog[open] textarea").fill("asked the shop");
    await drive.look("act-comment");
    await drive.sends("/comment", () => page.getByRole("button", { name: "Note it" }).click());
    await closed();
    await drive.see("main >> text=asked the shop");
    await drive.look("act-taken");
    await page.getByRole("button", { name: "Hand over…" }).click();
    const dialog = page.locator("dialog[open]");
    await dialog.getByLabel("Comment").fill("on leave");
    await drive.look("act-hand-over");
    await drive.sends("/assign", () => page.getByRole("button", { name: "Hand over", exact: true }).click());
    await closed();
    await page.getByRole("button", { name: "Take it on…" }).waitFor();
    await blur();
  });
  await drive.step("repair what is safe", async () => {
    await drive.press("g", "d");
    await drive.see("main >> text=topic sd.orders");
    await page.getByRole("button", { name: "Repair…" }).click();
    await page.waitForSelector("dialog[open] >> text=Create and correct topics");
    await drive.look("act-repair");
    await drive.sends("/doctor/repair", () => page.getByRole("button", { name: "Repair", exact: true }).click());
    await closed();
    await drive.see("main >> text=created or corrected");
    await page.locator("main").getByText("topic sd.orders").waitFor({ state: "detached" });
    await drive.look("act-repaired");
    await blur();
  });
  let secret = "";
  await drive.step("make a token, and read its secret once", async () => {
    await drive.press("g", ",");
    await page.getByRole("button", { name: "Make a token" }).click();
    const dialog = page.locator("dialog[open]");
    await dialog.getByLabel("Name").fill("alice");
    await dialog.getByLabel("viewer").check();
    await dialog.getByLabel("Good for").fill("90d");
    await drive.look("act-token");
    await drive.sends("/tokens", () => page.getByRole("button", { name: "Make it" }).click());
    await dialog.getByText(/^sdt_/).waitFor();
    secret = await dialog.getByText(/^sdt_/).textContent();
    await drive.look("act-secret");
    await page.getByRole("button", { name: "I have it" }).click();
    await closed();
    await drive.see("main tbody >> text=alice");
    await drive.look("act-tokens");
    await blur();
  });
  await drive.step("look at a run as a viewer, who may do nothing", async () => {
    await page.evaluate(
      (token) => fetch("api/v1/session", { method: "POST", headers: { "content-type": "application/json", "x-stream-durable": "page" }, body: JSON.stringify({ token }) }),
      secret,
    );
    await page.goto(new URL("runs/order-2?step=approve", drive.address).href);
    await drive.see("aside >> text=Why it is not moving");
    const acts = await page.getByRole("button", { name: /…$/ }).count();
    if (acts) throw new Error(`a viewer is offered ${acts} acts`);
    await drive.look("act-viewer");
    await drive.go("settings");
    await page.getByRole("button", { name: "Sign out" }).click();
    await drive.see("main >> text=API tokens");
  });
  await drive.step("revoke a token", async () => {
    await page.getByRole("button", { name: "Revoke token alice" }).click();
    await page.waitForSelector("dialog[open] form");
    await drive.sends("/tokens/alice", () => page.getByRole("button", { name: "Revoke it" }).click());
    await closed();
    await drive.see("main tbody >> text=revoked");
    await blur();
  });
  await drive.step("follow a live run", async () => {
    await drive.go("runs/order-1");
    await drive.see("h1:has-text('order-1')");
    await page.waitForSelector("header >> text=Waiting");
    const { origin } = new URL(drive.address);
    // Somebody else answers: the page shows it without being asked to.
    const answered = await fetch(new URL("api/v1/inputs/order-1/approve/answer", drive.address), {
      method: "POST",
      headers: { "content-type": "application/json", "x-stream-durable": "page", origin },
      body: JSON.stringify({ answer: true }),
    });
    if (answered.status !== 202) throw new Error(await answered.text());
    await page.waitForSelector("header >> text=Done", { timeout: 10_000 });
    await drive.picture("act-live");
  });
  await drive.step("find a command in the palette", async () => {
    await drive.press("Control+k");
    await page.waitForSelector("dialog[open] [role=combobox]");
    await drive.check();
    await page.keyboard.type("inp");
    await drive.picture("act-palette");
    await drive.press("Enter");
    await page.waitForURL(/inputs/);
    await drive.see("form.stack");
  });
  await drive.step("approve", async () => {
    await drive.sends("/answer", () => drive.press("a"));
    // Until the answered question is gone, its form stands where the next act begins.
    await page.locator("main").getByText("order-2").first().waitFor({ state: "detached" });
    await drive.see("main >> text=order-3");
  });
  await drive.step("approve all that are left", async () => {
    await page.getByRole("button", { name: /Approve all/ }).click();
    await drive.check();
    await reason("checked on paper", "/answers");
    await drive.see("main >> text=Nobody is asked anything");
    await blur();
  });
  await drive.step("pause a schedule", async () => {
    await drive.press("g", "s");
    await drive.see("main >> text=nightly");
    await page.getByRole("switch", { name: "nightly" }).focus();
    await drive.press("Space");
    await reason("stocktake", "/pause");
    await page.waitForSelector('[role=switch][aria-checked="false"]');
    await drive.picture("act-paused");
    await blur();
  });
  await drive.step("create a schedule, and trigger it", async () => {
    await page.getByRole("button", { name: "Create a schedule" }).click();
    const dialog = page.locator("dialog[open]");
    await dialog.getByLabel("Name").fill("hourly");
    await dialog.getByLabel("Workflow").fill("order");
    await dialog.getByLabel("Every").fill("1h");
    await dialog.getByLabel("Input").fill('{"id": "h"}');
    await drive.check();
    await drive.picture("act-schedule");
    await drive.sends("/schedules", () => page.getByRole("button", { name: "Create", exact: true }).click());
    await closed();
    await page.getByRole("link", { name: "hourly" }).click();
    await page.getByRole("button", { name: "Trigger now" }).click();
    await page.waitForSelector("dialog[open] form");
    await drive.sends("/trigger", () => drive.press("Enter"));
    await drive.see("aside tbody >> text=hourly");
    await blur();
  });
  await drive.step("pause a trigger", async () => {
    await drive.press("g", "e");
    await drive.see("main >> text=restock");
    await page.getByRole("switch", { name: "restock" }).focus();
    await drive.press("Space");
    await reason("the supplier is away", "/triggers/");
    await page.waitForSelector('[role=switch][aria-checked="false"]');
    await blur();
  });
  await drive.step("change the limits of a gate", async () => {
    await drive.press("g", "g");
    await drive.see("main tbody >> text=bank");
    await drive.press("j");
    await page.getByRole("button", { name: "Change limits" }).click();
    await page.getByLabel("At once").fill("4");
    await drive.check();
    await drive.sends("/gates/bank", () => drive.press("Enter"));
    await closed();
    await drive.see("main tbody >> text=changed");
    await drive.picture("act-gate");
    await blur();
  });
  await drive.step("resume a queue", async () => {
    await drive.press("g", "k");
    await drive.see("main >> text=stocktake");
    await page.getByRole("button", { name: "Resume queue pick" }).focus();
    await drive.press("Enter");
    await page.waitForSelector("dialog[open] form");
    await drive.sends("/queues/pick/resume", () => drive.press("Enter"));
    await closed();
    await page.getByRole("button", { name: "Pause queue pick" }).waitFor();
    await drive.see("main tbody >> text=resumed");
    await blur();
  });
  await drive.step("cancel all that match", async () => {
    await drive.go("runs?workflow=gated");
    await drive.see(".bulk");
    await page.getByRole("button", { name: "Cancel…" }).click();
    await page.waitForSelector("dialog[open] >> text=will be cancelled");
    await drive.check();
    await drive.picture("act-bulk");
    await reason("a test", "/operations");
    await page.waitForSelector(".bulk >> text=completed");
    await blur();
  });
  await drive.step("read what the operation did", async () => {
    await drive.press("g", "p");
    await drive.see("main tbody >> text=a test");
    await drive.picture("act-operations");
  });
  await drive.step("list the keys", async () => {
    await drive.press("?");
    await page.waitForSelector("dialog[open] >> text=search and commands");
    await drive.check();
    await drive.press("Escape");
  });
}
