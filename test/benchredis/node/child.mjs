// What both programs share: the specification they are given, and the talk with whoever started them. They say
// {"ready":true}, wait for a line, do their work, say {"report":{...}} and end when their input does.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

// spec is what to do; its fields are those of the Go type of the same name.
export const spec = JSON.parse(process.argv[2]);

export const bullmq = createRequire(import.meta.url)(process.env.BULLMQ);

export const connection = { host: spec.host, port: spec.port };

export function say(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

// nanoseconds reads the monotonic clock of the machine, which all its processes share.
export function nanoseconds() {
  return Number(process.hrtime.bigint());
}

// payload returns a payload of so many bytes as JSON.
export function payload(bytes, at) {
  const data = { at, pad: '' };
  data.pad = 'x'.repeat(Math.max(bytes - JSON.stringify(data).length, 0));
  return data;
}

// input resolves begun with the word to begin, enough with the word to stop or the end, and ended with the end.
export function input() {
  const lines = createInterface({ input: process.stdin });
  let began;
  let hadEnough;
  const begun = new Promise((resolve) => { began = resolve; });
  const enough = new Promise((resolve) => { hadEnough = resolve; });
  const ended = new Promise((resolve) => { lines.once('close', resolve); });
  lines.on('line', (word) => (word === 'begin' ? began() : hadEnough()));
  ended.then(hadEnough);
  return { begun, enough, ended };
}
