package sim

// A Rimage can tell how high a pile is once it has put a disc on it, until it loses its power or somebody opens the door.

// measured says of which bins it can tell that, and of no others.
func (s *Speaker) measured(bins ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = map[int]bool{}
	for _, bin := range bins {
		s.moved[bin] = true
	}
}

func (s *Speaker) measures(bin int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved[bin]
}

func (s *Speaker) lifted(bin int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moved == nil {
		s.moved = map[int]bool{}
	}
	s.moved[bin] = true
}

// SetUp is a person who has it lift a disc off each bin and set it down again, as its makers' own program does after power-on.
func (s *Speaker) SetUp() {
	var all []int
	for i := range s.Tower.Status().Bins {
		all = append(all, i+1)
	}
	s.measured(all...)
}
