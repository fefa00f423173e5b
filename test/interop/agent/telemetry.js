'use strict';
// A telemetry client of BullMQ that reports spans instead of sending them anywhere. Its context is a text, which travels
// with jobs as their metadata.

// makeTelemetry returns a client; heard is called with the name of an event and its arguments.
function makeTelemetry(heard) {
  let active = 'root';
  const span = (name) => ({
    name,
    setSpanOnContext: (context) => `${context}/${name}`,
    setAttribute: () => {},
    setAttributes: () => {},
    addEvent: () => {},
    recordException: (exception) => heard('exception', [name, String(exception)]),
    end: () => heard('span', [name]),
  });
  const contextManager = {
    with(context, run) {
      const before = active;
      active = context;
      const result = run();
      active = before;
      return result;
    },
    active: () => active,
    getMetadata: (context) => context,
    fromMetadata: (_, metadata) => {
      heard('metadata', [metadata]);
      return metadata;
    },
  };
  const instrument = (kind) => (name) => ({
    add: (value) => heard(kind, [name, value]),
    record: (value) => heard(kind, [name, value]),
  });
  const meter = { createCounter: instrument('counter'), createHistogram: instrument('histogram'), createGauge: instrument('gauge') };
  return { tracer: { startSpan: span }, contextManager, meter };
}

module.exports = { makeTelemetry };
