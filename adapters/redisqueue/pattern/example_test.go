package pattern_test

import (
	"fmt"
	"time"

	"github.com/taktwork/takt/adapters/redisqueue/pattern"
)

// In Paris the hour from two to three is left out on the last Sunday of March.
func ExamplePattern_Next() {
	p, err := pattern.Parse("30 2 * * SAT,SUN,MON", "Europe/Paris")
	if err != nil {
		fmt.Println(err)
		return
	}
	paris, _ := time.LoadLocation("Europe/Paris")
	at := time.Date(2024, 3, 29, 12, 0, 0, 0, paris)
	for range 3 {
		at, _ = p.Next(at)
		fmt.Println(at.In(paris).Format("Mon 2 Jan 15:04 MST"))
	}
	// Output:
	// Sat 30 Mar 02:30 CET
	// Sun 31 Mar 03:30 CEST
	// Mon 1 Apr 02:30 CEST
}
