'use strict';
// The clock that BullMQ reads. It stands still while a step is carried out: what one call of ours does in one moment of
// Redis, Node does in one of its own, and no step depends on how long its parts take.
const RealDate = Date;
const real = RealDate.now.bind(RealDate);
let frozen = null;

globalThis.Date = class Date extends RealDate {
  static now() {
    return frozen ?? real();
  }

  constructor(...args) {
    super(...(args.length > 0 ? args : [Date.now()]));
  }
};

// next lets the clock go on to another moment.
async function next() {
  const last = frozen;
  while (real() <= last) await new Promise((resolve) => setTimeout(resolve, 1));
  frozen = real();
}

module.exports = {
  next,
  freeze: () => void (frozen = real()),
  thaw: () => void (frozen = null),
};
