// A browser without a screen, from npm alone.
import chromium from "@sparticuz/chromium";
import { chromium as driver } from "playwright-core";

export async function launch() {
  return driver.launch({
    executablePath: process.env.CHROMIUM ?? (await chromium.executablePath()),
    args: ["--no-sandbox", "--headless=shell", "--disable-dev-shm-usage", "--disable-gpu"],
  });
}
