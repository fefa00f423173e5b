// Package config reads the worker's configuration from the process
// environment, `.env.local` and `.env`, and checks it whole: every mistake of
// every variable is in one report, each with its rule and an example, before
// anything is connected or started.
//
// One table (see [Variables]) holds the name, default, rule, example and
// description of each variable. The rules bring a value into the one spelling
// that go-envconfig decodes into the fields of [Config]; the checked-in example
// file, the documentation and [Config.Entries] are made from the same table.
//
// The package opens no connection, starts no goroutine and never changes the
// process environment. It prints nothing: the caller prints the [Report].
package config
