// A browser that does what its standard input says: one JSON document a line, one answer a line.
// For the tests of the pages, and for the pictures in the documents.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = await chromium.launch({
  executablePath: process.env.VECHE_CHROMIUM || '/usr/bin/chromium',
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
});
const tabs = new Map();

// What a page said and asked for is kept from its opening on.
async function open({ width = 1280, height = 900, dark = false, script = true, language = 'en',
                      zone = 'Asia/Yekaterinburg', scale = 1, media = 'screen' }) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    javaScriptEnabled: script,
    locale: language,
    timezoneId: zone,
    deviceScaleFactor: scale,
  });
  const page = await context.newPage();
  await page.emulateMedia({ media });
  const tab = { context, page, said: [], asked: [] };
  page.on('console', (message) => tab.said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => tab.said.push(`exception: ${error.message}`));
  page.on('request', (request) => tab.asked.push(request.url()));
  tabs.set(tabs.size, tab);
  return tabs.size - 1;
}

const actions = {
  open,
  goto: async ({ tab, url }) => (await tab.page.goto(url, { waitUntil: 'load' })).status(),
  evaluate: ({ tab, code }) => tab.page.evaluate(code),
  // The driver's own waiting would evaluate in the page, which the pages' policy forbids.
  wait: async ({ tab, code, within }) => {
    for (const end = Date.now() + within; ;) {
      if (await tab.page.evaluate(code).catch(() => false)) return;
      if (Date.now() > end) throw new Error('it did not come true');
      await new Promise((done) => setTimeout(done, 50));
    }
  },
  click: ({ tab, selector }) => tab.page.click(selector),
  fill: ({ tab, selector, text }) => tab.page.fill(selector, text),
  press: ({ tab, key }) => tab.page.keyboard.press(key),
  scroll: ({ tab, selector }) => tab.page.locator(selector).scrollIntoViewIfNeeded(),
  picture: async ({ tab, path, full = false, clip }) => {
    await tab.page.screenshot({ path, fullPage: full, clip, animations: 'disabled' });
  },
  heard: ({ tab }) => ({ said: tab.said, asked: tab.asked }),
  // Findings of an accessibility checker that are serious or worse.
  axe: async ({ tab }) => {
    await tab.page.evaluate(axe);
    const { violations } = await tab.page.evaluate('axe.run()');
    return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
  },
  close: async ({ tab }) => {
    await tab.context.close();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { act, ...given } = JSON.parse(line);
  let answer;
  try {
    if ('tab' in given) given.tab = tabs.get(given.tab);
    answer = { value: (await actions[act](given)) ?? null };
  } catch (error) {
    answer = { error: String(error.message || error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
