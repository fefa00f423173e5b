package app

import (
	"fmt"
	"reflect"

	"go.uber.org/fx"
)

// Option adds something to a worker: a feature, a provider, a middleware.
type Option = fx.Option

// Contribution is what a feature adds to a worker.
type Contribution struct {
	// Queues are the queues that the feature declares. A queue must be
	// declared by some feature, or in the settings, to be enqueued to by a
	// scheduled job or worked by a handler.
	Queues   []string
	Jobs     []ScheduledJob
	Handlers []Handler
	// Condition is asked once when the worker starts, after the start hooks of
	// all features and before the first job; nil is no condition. If it is not
	// met, the jobs of this contribution are disabled and its handlers left
	// out until the worker starts anew.
	Condition Condition

	feature string
	// problem is a mistake in the feature itself; empty if there is none.
	problem string
}

// Feature returns a feature. register is a function whose parameters are
// provided by this or another feature, or by the worker itself ([Settings],
// *[SchedulerService], [Lifecycle], *slog.Logger), and which returns a
// [Contribution], and an error if it likes. Options, such as [Provide], belong
// to the feature. The name is unique in the worker. A register of any other
// shape is reported by [New].
func Feature(name string, register any, options ...Option) Option {
	if err := checkRegister(register); err != nil {
		register = func() Contribution { return Contribution{problem: err.Error()} }
	}
	// register is provided as it is, not annotated: so fx can tell in errors
	// which function and line it is.
	named := func(c Contribution) contribution {
		c.feature = name
		return contribution{Contribution: c}
	}
	return fx.Module(name, append(options, fx.Provide(register, fx.Private), fx.Provide(named))...)
}

// contribution joins the contributions of all features.
type contribution struct {
	fx.Out

	Contribution Contribution `group:"takt.contributions"`
}

// checkRegister says what is wrong with a register.
func checkRegister(register any) error {
	fn := reflect.ValueOf(register)
	if fn.Kind() != reflect.Func || fn.IsNil() {
		return fmt.Errorf("register is of type %T; it must be a function that returns an app.Contribution", register)
	}
	shape := fn.Type()
	results := shape.NumOut()
	good := !shape.IsVariadic() && results > 0 && results <= 2 && shape.Out(0) == reflect.TypeFor[Contribution]() &&
		(results == 1 || shape.Out(1) == reflect.TypeFor[error]())
	if !good {
		return fmt.Errorf("register is a %s; it must take what it needs and return an app.Contribution, and an error if it likes", shape)
	}
	return nil
}

// Provide adds constructors: functions that return values, and an error if
// they like, from parameters that other constructors return.
func Provide(constructors ...any) Option { return fx.Provide(constructors...) }

// Supply adds values as they are.
func Supply(values ...any) Option { return fx.Supply(values...) }

// middlewares are those of all [Use] options, the outermost first.
type middlewares struct{ all []Middleware }

// Use adds middleware around all queue handlers of the worker. The first one
// is the outermost; what a later Use adds lies inside, and what features bring
// along outside.
func Use(middleware ...Middleware) Option {
	// fx shuffles the values of groups, but invokes in order.
	return fx.Invoke(func(m *middlewares) { m.all = append(m.all, middleware...) })
}
