'use strict';
// What passes between the agent and its driver, as JSON.

// decode turns the documented special objects into what they stand for, anywhere in a value.
function decode(value, special) {
  if (Array.isArray(value)) return value.map((element) => decode(element, special));
  if (value === null || typeof value !== 'object') return value;
  const names = Object.keys(value);
  if (names.length === 1 && special[names[0]]) return special[names[0]](decode(value[names[0]], special));
  return Object.fromEntries(names.map((name) => [name, decode(value[name], special)]));
}

const jobProperties = [
  'id', 'name', 'data', 'opts', 'progress', 'returnvalue', 'failedReason', 'stacktrace', 'attemptsMade', 'attemptsStarted',
  'stalledCounter', 'delay', 'priority', 'timestamp', 'processedOn', 'finishedOn', 'processedBy', 'parent', 'parentKey',
  'repeatJobKey', 'deduplicationId', 'deferredFailure', 'queueQualifiedName', 'token',
];

const isJob = (value) => typeof value.moveToCompleted === 'function' && 'attemptsMade' in value;
const isPlain = (value) => [Object.prototype, null].includes(Object.getPrototypeOf(value));

// encode makes a value fit for JSON: jobs become their documented properties, errors their name and message, and
// objects of other classes nothing but the name of the class.
function encode(value) {
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value === 'bigint') return String(value);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((element) => encode(element) ?? null);
  if (value instanceof Error) return { name: value.name, message: value.message, code: value.code };
  if (value instanceof Date) return value.getTime();
  if (isJob(value)) return pick(value, jobProperties);
  if (isPlain(value)) return pick(value, Object.keys(value));
  return { $class: value.constructor?.name };
}

const pick = (value, names) => Object.fromEntries(names.map((name) => [name, encode(value[name])]));

module.exports = { decode, encode };
