package config_test

import (
	"fmt"

	"github.com/taktwork/takt/app/config"
)

func ExampleLoad() {
	loaded, report := config.Load(config.Source{Environ: []string{"WORKER_CONCURRENCY=20", "WORKER_TIMEZONE=Europe/Berlin", "HOME=/home/worker"}})
	if err := report.Err(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(loaded.Queue.Concurrency, loaded.Scheduler.Timezone, loaded.Origin("WORKER_TIMEZONE"))
	// Output: 20 Europe/Berlin environment
}

func ExampleReport_Err() {
	_, report := config.Load(config.Source{Environ: []string{"WORKER_CONCURRENCY=ten", "WORKER_JOB_RETRY_DELAY=10", "HOME=/home/worker"}})
	fmt.Println(report.Err())
	// Output:
	// config: WORKER_JOB_RETRY_DELAY: a duration without a unit, set in environment (got "10"); expected a duration with a unit (ms, s, m, h, d) from 0s to 24h; example 30s
	// config: WORKER_CONCURRENCY: not a whole decimal number, set in environment (got "ten"); expected a whole number from 1 to 10000; example 20
}

func ExampleWish_Resolve() {
	backend, _ := config.Wish{RedisEnabled: config.SwitchOn}.Resolve()
	fmt.Println(backend)
	_, contradictions := config.Wish{Backend: config.BackendMemory, QueueEnabled: config.SwitchOff}.Resolve()
	fmt.Printf("%+v\n", contradictions)
	// Output:
	// redis
	// [{Variable:WORKER_QUEUE_BACKEND Value:memory Other:WORKER_QUEUE_ENABLED OtherValue:false}]
}
