package controller

import (
	"testing"

	"github.com/odarchive/odarchive/library/postgres"
)

func TestTargetFor(t *testing.T) {
	const plain, formatted = 12_219_392, 11_826_176
	all := []postgres.Target{
		{Medium: "DVD-R", Capacity: 2_297_888}, // all are taken
		{Medium: "BD-R", Capacity: formatted, Blanks: 9},
		{Medium: "BD-R", Capacity: plain, Blanks: 3},
	}
	for _, c := range []struct {
		spare          bool
		targets        []postgres.Target
		want, capacity int64
	}{
		{false, nil, 0, 0},
		{false, all[:2], 0, 0},
		{false, all, plain, plain},
		{true, all, formatted, formatted},
		{true, all[2:], plain, formatted},
		{true, all[:1], 0, 0},
	} {
		if got, capacity := targetFor(c.spare, c.targets); got.Capacity != c.want || capacity != c.capacity {
			t.Errorf("with spare areas %v of %v: %+v, images of %d sectors", c.spare, c.targets, got, capacity)
		}
	}
}
