// Package pattern computes when the pattern of a BullMQ job scheduler matches
// next, as the cron-parser package of npm does that BullMQ computes it with.
// It knows nothing of Redis, and needs nothing but zone data.
//
// An expression has one to six fields: second, minute, hour, day of month, the
// month and the day of week. What is missing is filled in from the left with
// second 0, any minute, hour and day. A field is a list of numbers, ranges and steps;
// months and weekdays have names of three letters; Sunday is 0 or 7; L is the
// last day of the month, 5L its last Friday, 5#2 its second one. Of two day
// fields that both restrict the day either is enough; a field restricts unless
// it lists as many values as there are, for the day of month in the longest
// month of that name. @yearly, @monthly, @weekly, @daily and @hourly stand for
// what they say.
//
// # Changes of the clock
//
// These are the rules of cron-parser 4.9, which follow from how it steps
// through time, hour by hour:
//
//   - Where the clock is put forward over a whole hour of the day, what was
//     due in that hour is due at the same minutes of the next: 02:30 at 03:30.
//     Not so if the search begins later, nor in a change of half an hour, of
//     two hours or at midnight: what was due is left out.
//   - Where the clock is put back over a whole hour, the second pass of the
//     hour is left out. Not so if the search begins in it, if the pattern
//     selects all hours, nor in a change of half an hour or of two hours:
//     what is due in both passes runs twice.
//   - Where midnight comes twice, and the search begins on the day before, the
//     second one may count as the begin of the day.
//
// # Where cron-parser 4.9 and 5.10 differ
//
// BullMQ 5 has 4.9, BullMQ 6 has 5.10. The results are those of 4.9, with
// these exceptions, in which 5.10 mends a defect:
//
//   - 5#2 beside a restricted day of month: either is enough. In 4.9 the
//     day of month must lie in the second week, too.
//   - A day of month that the only month does not have, beside a restricted day
//     of week: the latter counts. 4.9 refuses the expression.
//   - A weekday L without number is refused. In 4.9 it fails when it is asked
//     for the next match, often never.
//   - ? may stand in every field, and @annually, @minutely, @secondly,
//     @weekdays and @weekends are known.
//
// Followed, although 5.10 has it otherwise: a list may name a value twice;
// 1-31 and 0-7 do not restrict the day (5.10 takes only * and ? for that);
// a weekday range with a step that ends at 7 includes Sunday, whatever the
// step; changes of the clock of two hours and of half an hour, and searches
// over midnight before a change.
//
// 4.9 is not followed in what can only be a mistake: an empty expression and
// one of more than 1024 bytes are refused, and L takes at most two digits
// before it, nothing after it and no step. H, hashed values, exists in 5.10
// only; it is refused. A search ends when there is no match in 41 years, in
// both versions after 10,000 steps.
package pattern
