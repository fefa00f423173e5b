package redisqueue

// CoolDown moves the functions of a script that are not hot.
var CoolDown = coolDown

// ScriptSource returns the text of a script as Redis gets it.
func ScriptSource(name string) string { return scriptNamed(name).source }
