package scsi

import "errors"

// Action is what to do about a command that failed. The zero value is for what nobody knows: nothing is repeated on a guess.
type Action int

// The actions.
const (
	// NoRetry: the command fails.
	NoRetry Action = iota
	// FastRetry: the same again within a minute, a second between.
	FastRetry
	// SlowRetry: the same again, after the minutes that a long operation takes.
	SlowRetry
	// DriveDown: the command fails, and the drive is not to be used further.
	DriveDown
	// Operator: the command fails, and a person has to do something.
	Operator
)

func (a Action) String() string {
	switch a {
	case NoRetry:
		return "no retry"
	case FastRetry:
		return "fast retry"
	case SlowRetry:
		return "slow retry"
	case DriveDown:
		return "drive down"
	case Operator:
		return "call the operator"
	}
	return "unknown action"
}

// actions is what is known of single codes. The retries are those that programs with years behind them make (CERN's tape
// library daemon, mtx, libburn); a code that is not here is not repeated, hardware errors apart.
var actions = map[Code]Action{
	{NotReady, 0x04, 0x00}:       FastRetry,
	{NotReady, 0x04, 0x01}:       FastRetry,
	{NotReady, 0x3E, 0x00}:       FastRetry,
	{UnitAttention, 0x28, 0x00}:  FastRetry,
	{UnitAttention, 0x28, 0x01}:  FastRetry,
	{UnitAttention, 0x29, 0x00}:  FastRetry,
	{UnitAttention, 0x2A, 0x01}:  FastRetry,
	{NoSense, 0x30, 0x03}:        FastRetry,
	{NotReady, 0x04, 0x04}:       SlowRetry,
	{NotReady, 0x04, 0x07}:       SlowRetry,
	{NotReady, 0x04, 0x08}:       SlowRetry,
	{NotReady, 0x04, 0x85}:       SlowRetry,
	{HardwareError, 0x04, 0x85}:  SlowRetry,
	{NotReady, 0x04, 0x03}:       Operator,
	{HardwareError, 0x04, 0x03}:  Operator,
	{NotReady, 0x5A, 0x01}:       Operator,
	{UnitAttention, 0x5A, 0x01}:  Operator,
	{NotReady, 0x3B, 0x11}:       Operator,
	{NotReady, 0x3B, 0x12}:       Operator,
	{IllegalRequest, 0x3B, 0x11}: Operator,
	{IllegalRequest, 0x3B, 0x12}: Operator,
	{NotReady, 0x04, 0x12}:       Operator,
	{NotReady, 0x04, 0x15}:       Operator,
	{NotReady, 0x04, 0x17}:       Operator,
	{NotReady, 0x04, 0x18}:       Operator,
	{NotReady, 0x04, 0x83}:       Operator,
	{IllegalRequest, 0x53, 0x81}: Operator,
}

// ActionFor returns what to do about a code.
func ActionFor(c Code) Action {
	if a, ok := actions[c]; ok {
		return a
	}
	switch {
	case c.Key == UnitAttention && c.ASC == 0x29:
		return FastRetry // every way to say that the device has just started
	case c.Key == HardwareError:
		return DriveDown
	}
	return NoRetry
}

// ActionOf returns what to do about the error of a command.
func ActionOf(err error) Action {
	if s, ok := SenseOf(err); ok {
		return ActionFor(s.Code)
	}
	if s, ok := errors.AsType[*StatusError](err); ok {
		switch s.Status {
		case Busy, TaskSetFull:
			return FastRetry
		}
		return NoRetry
	}
	if errors.Is(err, ErrGone) {
		return DriveDown
	}
	return NoRetry
}
