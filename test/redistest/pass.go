package redistest

import "time"

// Pass lets real time pass, as servers and other processes see it: between
// two looks at them, or for as long as something must not happen. What is
// sure to happen is awaited instead.
func Pass(d time.Duration) { <-time.After(d) }
