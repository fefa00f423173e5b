package storage

// Namespace returns the namespace of the outbox.
func (o *Outbox) Namespace() string { return o.config.Namespace }
