package controller

import (
	"strings"
	"sync"

	"github.com/odarchive/odarchive/library/postgres"
)

// hub wakes those who wait for something to change. The zero value is ready.
type hub struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// wait returns a channel that is closed when key changes the next time.
func (h *hub) wait(key string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil {
		h.waiting = map[string]chan struct{}{}
	}
	c := h.waiting[key]
	if c == nil {
		c = make(chan struct{})
		h.waiting[key] = c
	}
	return c
}

// changed wakes those who wait for key; for every library when it is the bare LibraryKey; for everything when it is empty.
func (h *hub) changed(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, c := range h.waiting {
		if k == key || key == "" || key == postgres.LibraryKey && strings.HasPrefix(k, key) {
			close(c)
			delete(h.waiting, k)
		}
	}
}
