package sim

import (
	"io"
	"sync"
)

// Replies are what can happen to an answer, whatever protocol is spoken; the command itself is carried out.
var Replies = []string{"lost", "doubled", "garbled", "half", "late", "unsolicited"}

// voice says answers over a line, and lets faults spoil them. The zero value is one that nothing ails.
type voice struct {
	mu   sync.Mutex
	late []byte // an answer that comes with the next one
}

// say says an answer. Garbled is what becomes of it with noise on the line, and noise what the machine says unasked.
func (v *voice) say(line io.Writer, fault string, answer, garbled, noise []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	said := append(v.late, answer...)
	v.late = nil
	switch fault {
	case "lost":
		return nil
	case "late":
		v.late = said
		return nil
	case "half":
		said = said[:len(said)-(len(answer)+1)/2]
	case "doubled":
		said = append(said, answer...)
	case "garbled":
		said = append(said[:len(said)-len(answer)], garbled...)
	case "unsolicited":
		said = append(noise, said...)
	}
	_, err := line.Write(said)
	return err
}
