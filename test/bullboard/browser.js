'use strict';
// Drives a headless Chromium for tests in another language. It reads requests from standard input and writes replies to
// standard output, one JSON document a line: {"op":"open","url":"…"} gives {"ok":value} or {"error":"…"}.
const readline = require('node:readline');
const { chromium } = require('playwright-core');

const [executablePath, profile] = process.argv.slice(2);
// What Chromium would do besides showing the page needs a network that a test does not have.
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

// patience bounds every wait, in milliseconds.
const patience = 20000;

let page;
const wrong = [];

// clickTip clicks the button whose tooltip is the name. The board draws its lists anew every few seconds, which takes
// buttons and tooltips away from under the pointer: so it looks until the patience ends.
async function clickTip({ selector, name }) {
  const end = Date.now() + patience;
  do {
    for (const button of await page.locator(`${selector} >> button`).all()) {
      if (await tipOf(button, name)) return button.click();
    }
    await page.mouse.move(0, 0);
    await page.waitForTimeout(100);
  } while (Date.now() < end);
  throw new Error(`no button with the tooltip ${name}`);
}

// tipOf returns whether the button's tooltip is the name.
function tipOf(button, name) {
  const tip = page.getByText(name, { exact: true }).last();
  return button
    .hover({ timeout: 1500 })
    .then(() => tip.waitFor({ timeout: 1500 }))
    .then(() => true, () => false);
}

const operations = {
  open: ({ url }) => page.goto(url),
  // text returns what one reads in the first element of the selector.
  text: ({ selector }) => page.locator(selector).first().innerText(),
  click: ({ selector }) => page.locator(selector).first().click(),
  clickTip,
  fill: ({ selector, value }) => page.locator(selector).first().fill(value),
  // aria returns what a screen reader knows of it.
  aria: ({ selector }) => page.locator(selector).first().ariaSnapshot(),
  shot: ({ file }) => page.screenshot({ path: file, fullPage: true }).then(() => undefined),
  // wrong returns what the page complained of.
  wrong: () => wrong,
};

async function serve(line) {
  const request = JSON.parse(line);
  try {
    const value = await operations[request.op](request);
    const plain = ['string', 'object'].includes(typeof value) && (typeof value === 'string' || Array.isArray(value));
    console.log(JSON.stringify({ ok: plain ? value : null }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
}

async function main() {
  const context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args, viewport: { width: 1400, height: 1000 } });
  page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(patience);
  page.on('pageerror', (error) => wrong.push(error.message));
  page.on('response', (response) => response.status() >= 400 && wrong.push(`${response.status()} ${response.url()}`));
  console.log(JSON.stringify({ ok: 'ready' }));
  let last = Promise.resolve();
  const lines = readline.createInterface({ input: process.stdin, crlfDelay: Infinity });
  lines.on('line', (line) => (last = last.then(() => serve(line))));
  lines.on('close', () => last.then(() => context.close()).finally(() => process.exit(0)));
}

main().catch((error) => {
  console.log(JSON.stringify({ error: error.message }));
  process.exit(1);
});
