// Drives headless Chromium through the web phone and prints what it measured as one JSON object.
//
//   node call.mjs [--target 600] [--codec opus|PCMU|…] [--video [--video-codec VP8|H264]] [--seconds 10] [--user 1001] [--server wss://…]
//                 [--page https://…/phone/index.html] [--screenshot FILE] [--digits 1234] [--answer] [--verbose]
//
// RIG_ADDRESS and RIG_PASSWORD (as tests/rig/asterisk.py sets them) give the defaults; RIG_BROWSER the folder that
// tests/browser/prepare printed. It ends with status 0 when a call was made and measured, 1 with a sentence otherwise.
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import path from 'node:path';

const address = process.env.RIG_ADDRESS ?? '127.0.0.1';
const { values: given } = parseArgs({
  options: {
    target: { type: 'string', default: '600' },
    codec: { type: 'string', default: '' },
    video: { type: 'boolean', default: false },
    'video-codec': { type: 'string', default: 'any' },
    seconds: { type: 'string', default: '10' },
    user: { type: 'string', default: '1001' },
    server: { type: 'string', default: `wss://${address}:8089/ws` },
    page: { type: 'string', default: `https://${address}:8089/static/phone/index.html` },
    password: { type: 'string', default: process.env.RIG_PASSWORD ?? '' },
    screenshot: { type: 'string' },
    digits: { type: 'string', default: '' },
    answer: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

const { chromium } = createRequire(path.join(process.env.RIG_BROWSER ?? process.cwd(), 'package.json'))('playwright-core');

function fail(text) {
  console.log(JSON.stringify({ error: text }));
  process.exitCode = 1;
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--headless=new', '--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--no-first-run', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream',
    '--allow-loopback-in-peer-connection', '--ignore-certificate-errors', '--autoplay-policy=no-user-gesture-required',
  ],
});
try {
  await drive();
} catch (error) {
  fail(`${error.name}: ${error.message.split('\n')[0]}`);
} finally {
  await browser.close();
}

async function drive() {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1120, height: given.video ? 1060 : 760 }, permissions: ['microphone', 'camera'] });
  const page = await context.newPage();
  const said = [];
  page.on('pageerror', (error) => said.push(`page: ${error.message}`));
  page.on('console', (message) => given.verbose && console.error(message.text()));
  const query = new URLSearchParams({ user: given.user, password: given.password, server: given.server });
  if (given.answer) query.set('answer', '1');
  if (given.verbose) await page.addInitScript(() => localStorage.setItem('debug', 'JsSIP:*'));
  // Asterisk's HTTP server drops a connection now and then, and the page lacks a script: a person would load it again.
  const dropped = [];
  page.on('requestfailed', (request) => dropped.push(`${request.url()}: ${request.failure()?.errorText}`));
  for (let attempt = 1, loaded = false; !loaded; attempt += 1) {
    await page.goto(`${given.page}?${query}`).catch((error) => dropped.push(error.message.split('\n')[0]));
    loaded = await page.waitForFunction(() => typeof phone !== 'undefined', null, { timeout: 3_000 }).then(() => true, () => false);
    if (!loaded && attempt === 3) return fail(`the phone's page does not load: ${dropped.join(', ')}`);
  }
  if (dropped.length) console.error(`loaded again: ${dropped.join(', ')}`);
  await page.waitForFunction(() => phone.registered !== null || phone.error, null, { timeout: 15_000 });
  const registered = await page.evaluate(() => ({ time: phone.registered, error: phone.error }));
  if (registered.time === null) return fail(registered.error);
  if (given.codec) await page.selectOption('#codec', given.codec);
  if (given.video) await page.selectOption('#video', given['video-codec']);
  if (!given.answer) {
    await page.fill('#target', given.target);
    await page.click('#call');
  }
  // Who sends digits to a prompt that is silent hears nothing: connected is enough.
  await page.waitForFunction((silent) => phone.ended || phone.measure?.times[silent ? 'dtls' : 'media'], Boolean(given.digits), { timeout: 20_000 })
    .catch(() => said.push('no media came within 20 s'));
  const ended = await page.evaluate(() => phone.ended);
  if (ended) return fail(`the call was not made: ${ended}`);
  for (const digit of given.digits) await page.click(`#keys button:has-text("${digit}")`);
  if (given.digits) await page.waitForTimeout(Number(given.seconds) * 1000);
  if (given.digits) return console.log(JSON.stringify({ times: await page.evaluate(() => phone.measure.times), said }));
  const measuring = page.evaluate((seconds) => phone.measure.conclude(seconds), Number(given.seconds));
  if (given.screenshot) {
    await page.waitForTimeout(Math.max(0, Number(given.seconds) * 1000 - 400));
    await page.screenshot({ path: given.screenshot });
  }
  const result = await measuring;
  // Who called hangs up.
  const patience = given.answer ? 30 : 5;
  if (!given.answer && await page.isEnabled('#hangup')) await page.click('#hangup');
  await page.waitForFunction(() => phone.ended, null, { timeout: patience * 1000 }).catch(() => said.push(`the call did not end within ${patience} s`));
  const { times, ...rest } = result;
  console.log(JSON.stringify({ times: { registered: registered.time, ...times }, ...rest, ended: await page.evaluate(() => phone.ended), browser: browser.version(), said }, null, 1));
  return undefined;
}
