'use strict';
// Answers when patterns match next, by the cron-parser that each version of BullMQ carries. It reads requests from standard
// input, one JSON list a line: [expression, zone, after], after in seconds since 1970. It writes an object a line: what
// each version answers, in seconds since 1970, null if there is no match, or "refused". Its first line says what zone data
// Node has.
const readline = require('node:readline');

const parsers = {};
for (const version of ['5.70.1', '5.81.5', '6.7.0']) {
  const home = require.resolve(`bullmq-${version}/package.json`);
  const cron = require(require.resolve('cron-parser', { paths: [home] }));
  parsers[version] = cron.CronExpressionParser ? (text, options) => cron.CronExpressionParser.parse(text, options) : cron.parseExpression;
}

function next(parse, expression, tz, after) {
  let schedule;
  try {
    schedule = parse(expression, { currentDate: new Date(after * 1000), tz });
  } catch {
    return 'refused';
  }
  try {
    return schedule.next().getTime() / 1000;
  } catch {
    return null;
  }
}

process.stdout.write(`${JSON.stringify(process.versions.tz)}\n`);
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [expression, zone, after] = JSON.parse(line);
  const answers = Object.entries(parsers).map(([version, parse]) => [version, next(parse, expression, zone, after)]);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(answers))}\n`);
});
