package agent

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/odarchive/odarchive/robot/changer/dialect"
	"github.com/odarchive/odarchive/robot/changer/stack"
)

// machineOf is how a configured robot with piles is built.
func machineOf(c RobotConfig) (stack.Machine, error) {
	d, err := dialect.Load(c.Dialect)
	if err != nil {
		return stack.Machine{}, err
	}
	return d.Machine(dialect.Config{Capacity: c.Capacity, DriveWires: c.DriveWires, Setup: c.Setup, Speed: c.Speed})
}

// OrderHelp lists what can be said of a robot with piles.
const OrderHelp = `show, settle bin N | settle drive N | settle out, remove SLOT, add BIN COUNT, carry BIN BIN, set BIN SLOT…`

// changeOrder does what words say.
func changeOrder(o *stack.Order, m stack.Machine, words []string, out io.Writer) error {
	verb, rest := words[0], words[1:]
	wrong := fmt.Errorf("%q: want one of: %s", strings.Join(words, " "), OrderHelp)
	if verb == "settle" {
		return settleOrder(o, rest, wrong)
	}
	var numbers []int
	for _, w := range rest {
		n, err := strconv.Atoi(w)
		if err != nil {
			return wrong
		}
		numbers = append(numbers, n)
	}
	switch {
	case verb == "remove" && len(numbers) == 1:
		return o.Remove(numbers[0])
	case verb == "add" && len(numbers) == 2:
		slots, err := o.Add(m, numbers[0], numbers[1])
		if err == nil {
			fmt.Fprintf(out, "their slots, from the lowest disc up: %v\n", slots)
		}
		return err
	case verb == "carry" && len(numbers) == 2:
		return o.CarryPile(m, numbers[0], numbers[1])
	case verb == "set" && len(numbers) > 0:
		return o.SetPile(m, numbers[0], numbers[1:])
	}
	return wrong
}

func settleOrder(o *stack.Order, words []string, wrong error) error {
	if len(words) == 1 && words[0] == "out" {
		if o.Pending == nil {
			return fmt.Errorf("no disc is on its way")
		}
		return o.Remove(o.Pending.Slot)
	}
	if len(words) != 2 {
		return wrong
	}
	n, err := strconv.Atoi(words[1])
	if err != nil {
		return wrong
	}
	return o.Settle(stack.Place{Kind: stack.Kind(words[0]), Number: n})
}
