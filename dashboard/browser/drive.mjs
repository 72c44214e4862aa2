// Drives every screen of a served page: `node drive.mjs ADDRESS FOLDER [--more] [SCREEN…]`.
// Fails on a console error, a request elsewhere, a finding of axe, a window scrolled sideways, or a screen that does
// not come. Writes pictures. With `--more`, in more widths; with names of screens, these alone and no acts.
import fs from "node:fs";

import { act } from "./acts.mjs";
import { launch } from "./open.mjs";
import { Drive, faults } from "./pages.mjs";
import { LOOKS, MORE_LOOKS, SCREENS } from "./screens.mjs";

const [, , address, folder, ...more] = process.argv;
const wanted = more.filter((each) => !each.startsWith("--"));
const looks = more.includes("--more") ? [...LOOKS, ...MORE_LOOKS] : LOOKS;

async function look(drive, name, screen) {
  const { page } = drive;
  drive.refused = screen.refused;
  await page.setViewportSize(looks[0]);
  await drive.go(screen.at);
  for (const { theme, width, height, only } of looks) {
    if (width < (screen.from ?? 0)) continue;
    drive.name = `${name}-${theme}-${width}`;
    try {
      await page.emulateMedia({ colorScheme: theme });
      await page.setViewportSize({ width, height });
      await drive.see(screen.see);
      await drive.check(only);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (wide > 0) drive.fault(`${wide} px wider than the window`);
    } catch (error) {
      drive.fault(error.message.split("\n")[0]);
    }
    await drive.picture(drive.name);
  }
}

fs.rmSync(folder, { recursive: true, force: true });
fs.mkdirSync(folder, { recursive: true });
const began = Date.now();
const browser = await launch();
try {
  const drive = await Drive.open(browser, address, folder);
  for (const [name, screen] of Object.entries(SCREENS)) {
    if (!wanted.length || wanted.includes(name)) await look(drive, name, screen);
  }
  await drive.close();
  if (!wanted.length) {
    const acting = await Drive.open(browser, address, folder);
    await act(acting);
    await acting.close();
  }
} finally {
  await browser.close();
}
for (const each of faults) console.log(each);
console.log(`${((Date.now() - began) / 1_000).toFixed(0)} s`);
process.exitCode = faults.length ? 1 : 0;
