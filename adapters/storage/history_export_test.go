package storage

// WithMostKinds makes queries look up no more kinds than these one by one.
func (s *RunStore) WithMostKinds(n int) *RunStore {
	s.mostKinds = n
	return s
}
