package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/odarchive/odarchive/robot"
)

// Candidate is a device that may be one of the robot's drives.
type Candidate struct {
	Path  string
	Drive interface {
		robot.Drive
		// Present says whether a disc is in the drive. It moves no tray.
		Present(ctx context.Context) (bool, error)
	}
}

// Mapping is which device each drive of the robot is.
type Mapping map[int]string

// TOML returns the mapping as sections of the agent's configuration.
func (m Mapping) TOML() string {
	var b strings.Builder
	for n := 1; len(m) > 0 && n <= largest(m); n++ {
		if path, ok := m[n]; ok {
			fmt.Fprintf(&b, "[[drive]]\nnumber = %d\nkind = \"linux\"\npath = %q\n\n", n, path)
		}
	}
	return b.String()
}

func largest(m Mapping) (n int) {
	for k := range m {
		n = max(n, k)
	}
	return n
}

// MapByDisc has the robot carry the disc of a slot to each of its drives, one after the other, and looks in which device it
// arrives. All drives must be empty at the beginning. The disc goes back to its slot whatever happens, where that can be done.
func MapByDisc(ctx context.Context, changer robot.Changer, candidates []Candidate, slot robot.Address) (Mapping, error) {
	elements, err := changer.Inventory(ctx)
	if err != nil {
		return nil, fmt.Errorf("map drives: %w", err)
	}
	for _, c := range candidates {
		if there, err := present(ctx, changer, c); err != nil {
			return nil, fmt.Errorf("map drives: %s: %w", c.Path, err)
		} else if there {
			return nil, fmt.Errorf("map drives: there is a disc in %s: take it out before", c.Path)
		}
	}
	m := Mapping{}
	for _, e := range elements {
		if e.Address.Kind != robot.DriveBay {
			continue
		}
		if e.Fill != robot.Empty {
			return m, fmt.Errorf("map drives: %v is %v: all drives must be empty", e.Address, e.Fill)
		}
		path, err := follow(ctx, changer, candidates, slot, e.Address)
		if err != nil {
			return m, fmt.Errorf("map drives: %w", err)
		}
		for n, other := range m {
			if other == path {
				return m, fmt.Errorf("map drives: %s seems to be drive %d and %v at once", path, n, e.Address)
			}
		}
		m[e.Address.Number] = path
	}
	return m, nil
}

// follow carries the disc to a drive and back, and says in which device it was seen.
func follow(ctx context.Context, changer robot.Changer, candidates []Candidate, slot, drive robot.Address) (path string, err error) {
	if changer.Properties().HostOpensTray {
		for _, c := range candidates { // nobody knows which tray is needed
			if err := c.Drive.Eject(ctx); err != nil {
				return "", err
			}
		}
	}
	if err := changer.Move(ctx, slot, drive); err != nil {
		return "", err
	}
	var seen []string
	var holder Candidate
	for _, c := range candidates {
		there, lookErr := present(ctx, changer, c)
		if lookErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", c.Path, lookErr))
		}
		if there {
			seen, holder = append(seen, c.Path), c
		}
	}
	// It goes home also when somebody has lost patience.
	home := context.WithoutCancel(ctx)
	if len(seen) == 1 {
		err = errors.Join(err, holder.Drive.Eject(home))
	}
	if back := changer.Move(home, drive, slot); back != nil {
		return "", errors.Join(err, fmt.Errorf("the disc is still in %v: %w", drive, back))
	}
	switch {
	case err != nil:
		return "", err
	case len(seen) == 0:
		return "", fmt.Errorf("the disc in %v was seen in none of %d devices", drive, len(candidates))
	case len(seen) > 1:
		return "", fmt.Errorf("the one disc in %v was seen in %s", drive, strings.Join(seen, " and in "))
	}
	return seen[0], nil
}

// present looks for a disc, with the tray closed where the robot puts discs on trays.
func present(ctx context.Context, changer robot.Changer, c Candidate) (bool, error) {
	if changer.Properties().HostOpensTray {
		m, err := c.Drive.Load(ctx)
		return m.State != robot.NoDisc, err
	}
	return c.Drive.Present(ctx)
}

// MapByTray opens the tray of one device after the other and asks a person which drive of the robot it is; 0 is none of them.
func MapByTray(ctx context.Context, candidates []Candidate, ask func(path string) (number int, err error)) (Mapping, error) {
	m := Mapping{}
	for _, c := range candidates {
		if err := c.Drive.Eject(ctx); err != nil {
			return m, fmt.Errorf("map drives: %s: %w", c.Path, err)
		}
		number, err := ask(c.Path)
		if _, loadErr := c.Drive.Load(ctx); loadErr != nil {
			err = errors.Join(err, loadErr)
		}
		switch other, taken := m[number]; {
		case err != nil:
			return m, fmt.Errorf("map drives: %s: %w", c.Path, err)
		case number < 0:
			return m, fmt.Errorf("map drives: drive %d: numbers are 1 and up", number)
		case number > 0 && taken:
			return m, fmt.Errorf("map drives: drive %d was %s, and can't be %s too", number, other, c.Path)
		case number > 0:
			m[number] = c.Path
		}
	}
	return m, nil
}
