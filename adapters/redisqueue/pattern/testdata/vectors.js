// Writes vectors.json: what two versions of cron-parser answer, with which the
// tests compare. It takes a minute. In an empty folder:
//
//   npm install cron-parser-4@npm:cron-parser@4.9.0 cron-parser-5@npm:cron-parser@5.10.3
//   NODE_PATH=node_modules node .../vectors.js > .../vectors.json
//
// Zones whose rules may still change are asked about the past only, so that
// newer zone data do not change the answers.
'use strict';

const four = require('cron-parser-4');
const five = require('cron-parser-5').CronExpressionParser;

const DAY = 86400;
const start = Date.UTC(2024, 0, 1) / 1000;
const past = Date.UTC(2025, 11, 1) / 1000;
const end = Date.UTC(2031, 0, 1) / 1000;

const settled = [
  'Europe/Paris', 'Europe/London', 'Europe/Dublin', 'America/New_York', 'America/Los_Angeles', 'America/St_Johns',
  'America/Havana', 'America/Santiago', 'America/Nuuk', 'Atlantic/Azores', 'Pacific/Easter', 'Pacific/Auckland',
  'Pacific/Chatham', 'Pacific/Norfolk', 'Australia/Sydney', 'Australia/Adelaide', 'Australia/Lord_Howe',
  'Antarctica/Troll', 'Asia/Jerusalem', 'America/Miquelon',
];
const unsettled = [
  'Africa/Cairo', 'Africa/Casablanca', 'America/Asuncion', 'America/Scoresbysund', 'Antarctica/Casey',
  'Asia/Almaty', 'Asia/Beirut', 'Asia/Gaza',
];
const fixed = ['UTC', 'Asia/Kolkata', 'Asia/Kathmandu', 'Asia/Tokyo', 'America/Phoenix', 'utc+5:30', 'UTC-3'];

// A generator of numbers that gives the same in every run.
let state = 20240229;
function below(n) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 4294967296) * n);
}
const pick = (list) => list[below(list.length)];

const formats = new Map();
function wall(zone, at) {
  if (!formats.has(zone)) {
    formats.set(zone, new Intl.DateTimeFormat('en', {
      timeZone: zone, hourCycle: 'h23', weekday: 'short',
      year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric',
    }));
  }
  return Object.fromEntries(formats.get(zone).formatToParts(new Date(at * 1000)).map((p) => [p.type, p.value]));
}

function offset(zone, at) {
  const w = wall(zone, at);
  return Date.UTC(w.year, w.month - 1, w.day, w.hour, w.minute) / 1000 - Math.floor(at / 60) * 60;
}

// The instants at which the zone's offset changes.
function changes(zone, from, to) {
  const found = [];
  for (let at = from; at < to; at += DAY) {
    if (offset(zone, at) === offset(zone, at + DAY)) continue;
    let [low, high] = [at, at + DAY];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (offset(zone, middle) === offset(zone, low)) low = middle;
      else high = middle;
    }
    found.push(high);
  }
  return found;
}

function ask(parse, expression, tz, at) {
  let parsed;
  try {
    parsed = parse(expression, { currentDate: new Date(at * 1000), tz });
  } catch {
    return 'refused';
  }
  try {
    return parsed.next().getTime() / 1000 - at;
  } catch {
    return 'none';
  }
}

// Expressions for the hours around a change, given what the clock shows just
// before it.
function around(w) {
  const hour = (by) => (Number(w.hour) + by + 24) % 24;
  const minute = pick([0, 5, 15, 30, 44, 45, 50, 59]);
  const day = w.weekday;
  const h = hour(pick([-1, 0, 1, 1, 2, 3]));
  return pick([
    `${minute} ${h} * * *`,
    `${minute} ${h} * * *`,
    `*/${pick([5, 10, 20, 30])} ${h} * * *`,
    `${minute} ${h},${hour(3)} * * *`,
    `${minute} ${h} * * ${day}`,
    `${minute} ${h} ${w.day} * *`,
    `${minute} ${h} * ${w.month} *`,
    `${pick([0, 30])} ${minute} ${h} * * *`,
    `${minute} */${pick([2, 3, 4, 6])} * * *`,
    `${minute} * * * *`,
    '0 0 * * *',
    '30 0 * * *',
    '0 0 * * 0',
    `*/${pick([7, 15, 25])} * * * *`,
    '*/20 * * * * *',
    `${minute} 0-22 * * *`,
    `${minute} ${h} L * *`,
    `${minute} ${h} * * ${day}L`,
    `${minute} 0 1 * *`,
  ]);
}

const offsets = [-8 * DAY, -DAY - 7200, -46800, -9000, -7200, -5400, -3601, -3600, -2700, -1800, -900, -1, 0, 1, 600, 1800, 2700, 3600, 5400, 7200, DAY];

// Fields at random, right or wrong.
const names = { 4: ['JAN', 'feb', 'Dec'], 5: ['SUN', 'mon', 'Fri', 'SAT'] };
function item(i) {
  const n = () => below([60, 60, 24, 32, 13, 8][i] + 1);
  switch (below(15)) {
    case 0: case 1: case 2: case 3: return `${n()}`;
    case 4: case 5: return `${n()}-${n()}`;
    case 6: return `${n()}-${n()}/${below(7)}`;
    case 7: return `*/${below(20)}`;
    case 8: return `${n()}/${below(7)}`;
    case 9: return i === 3 ? 'L' : i === 5 ? `${n()}L` : '*';
    case 10: return i === 5 ? `${n()}#${below(7)}` : '*';
    case 11: return names[i] ? pick(names[i]) : '*';
    case 12: return i === 3 || i === 5 ? '?' : '*';
    default: return '*';
  }
}
function field(i) {
  let text = item(i);
  while (below(5) === 0) text += `,${item(i)}`;
  return text;
}
function anything() {
  const fields = pick([1, 2, 3, 4, 5, 5, 5, 6]);
  const list = [];
  for (let i = 6 - fields; i < 6; i++) list.push(i < 3 && below(2) ? '0' : field(i));
  return list.join(' ');
}

const cases = new Map();
function add(expression, zone, at) {
  const key = JSON.stringify([expression, zone, at]);
  if (cases.has(key)) return;
  const answers = [ask(four.parseExpression, expression, zone, at), ask(five.parse.bind(five), expression, zone, at)];
  cases.set(key, [expression, zone, at, ...answers]);
}

for (const [zones, until] of [[settled, end], [unsettled, past]]) {
  for (const zone of zones) {
    for (const at of changes(zone, start, until)) {
      for (let i = 0; i < 13; i++) add(around(wall(zone, at - 1)), zone, at + pick(offsets));
    }
  }
}
for (let i = 0; i < 1300; i++) {
  const zone = pick([...fixed, ...settled]);
  add(anything(), zone, start + below(end - start));
}

// Zones and expressions are numbered; an answer of 5.10 is left out if it is
// that of 4.9.
const zones = [...new Set([...cases.values()].map((c) => c[1]))];
const expressions = [...new Set([...cases.values()].map((c) => c[0]))].sort();
const rows = [...cases.values()].map(([expression, zone, at, a, b]) =>
  JSON.stringify([expressions.indexOf(expression), zones.indexOf(zone), at, a, ...(a === b ? [] : [b])]));
process.stdout.write(`{"zones":${JSON.stringify(zones)},\n"expressions":${JSON.stringify(expressions)},\n"cases":[\n${rows.join(',\n')}\n]}\n`);
