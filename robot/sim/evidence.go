package sim

import "errors"

// Evidence is how it is known that a machine answers so when that happens to it. Where it is a guess, a driver that goes by the answer alone has been
// shown to be consistent with us, and no more.
type Evidence string

// The grades, as in the notes that the simulators were written from.
const (
	Manual   Evidence = "manual"   // a manufacturer's document says so
	Seen     Evidence = "seen"     // the source of a program in use expects it, or it is in a log of a real line
	Tried    Evidence = "tried"    // an emulation that others wrote does so
	Standard Evidence = "standard" // a standard has the code for that; whether a machine uses it is its maker's choice
	Guess    Evidence = "guess"    // the code exists, and nobody told us that it comes then
)

// tells is what a machine tells when something happens.
type tells[Code any] struct {
	when error
	code Code
	how  Evidence
	from string // where that is said, or why it was taken
}

// told returns the first that fits an error.
func told[Code any](table []tells[Code], err error) (code Code, ok bool) {
	for _, t := range table {
		if errors.Is(err, t.when) {
			return t.code, true
		}
	}
	return code, false
}

// What SCSI changers tell. The codes are those of T10's list of ASC and ASCQ for media changers.
var smcTells = []tells[SenseCode]{
	{errEmptySlot, SenseCode{5, 0x3B, 0x0E}, Manual, "IBM/Dell TL2000 appendix C, Exabyte Magnum table 11-5; HP's optical libraries have 3Bh too (command reference, table B-4)"},
	{errNothing, SenseCode{5, 0x3B, 0x0E}, Manual, "the same: a drive is a source like another"},
	{errOccupied, SenseCode{5, 0x3B, 0x0D}, Manual, "the same"},
	{errRack, SenseCode{5, 0x3B, 0x11}, Manual, "TL2000: medium magazine not accessible"},
	{errClamped, SenseCode{5, 0x53, 0x02}, Tried, "tgtd of a locked drive; IBM TS3310 appendix C: medium removal prevented. TL2000 has 53/03 for drives"},
	{errStuck, SenseCode{4, 0x15, 0x01}, Manual, "Quantum SuperLoader 3: mechanical positioning error. Exabyte has 15/81 and 15/83, its own, for a pick or put that failed"},
	{errCrooked, SenseCode{4, 0x53, 0x01}, Manual, "SuperLoader 3 and TS3310: a drive did not unload. That a crooked disc counts so is our guess"},
	{errHeld, SenseCode{4, 0x15, 0x01}, Guess, "as for any other mechanical failure"},
	{errHandFull, SenseCode{4, 0x15, 0x01}, Guess, "the same, as long as the hand has the disc: the code that a destination is full has is of the destination"},
	{errDropped, SenseCode{4, 0x15, 0x01}, Guess, "as for any other; a changer may not notice at all"},
	{errDoor, SenseCode{2, 0x04, 0x18}, Standard, "T10: not ready, a door is open. Exabyte says 04/83, its own; older ones 04/12, off line"},
	{errOpened, SenseCode{2, 0x04, 0x18}, Guess, "that the move which the door cut short ends with it, and not the next command"},
}

// What a Pioneer tells: the error chart of the CAC-V5000's manual, pp. 18-19.
var pioneerTells = []tells[string]{
	{errDoor, "E21", Manual, "door open"},
	{errOpened, "E21", Manual, "the same; that it comes for the command that the door cut short is a guess"},
	{errHeld, "E98", Manual, "disc setting impossible, the disc is still on the transport"},
	{errHandFull, "E98", Guess, "the disc is still on the transport, as it says when it could not be set down; nobody tells what the next command gives"},
	{errDropped, "E98", Guess, "it has no code for a disc that is gone"},
	{errEmptySlot, "E11", Manual, "no disc"},
	{errElsewhere, "E11", Guess, "the manual does not say what fetching a disc gives that the other player has; E04 is as likely"},
	{errNothing, "E11", Manual, "no disc"},
	{errClamped, "E92", Manual, "pick-up impossible"},
	{errMoving, "E04", Guess, "not usable now; owners never send two commands"},
	{errOccupied, "E98", Guess, "a slot that has a disc is one in which it can't be set down"},
}

// What a Denon's player tells: the changer states in a program that drives it.
var denonTells = []tells[byte]{
	{errEmptySlot, 0x81, Seen, "no disc"},
	{errElsewhere, 0x81, Guess, "no disc: not where it was to be fetched"},
	{errRack, 0x8C, Seen, "rack not set"},
	{errOpened, 0x8F, Guess, "one of two changer errors, of which no source says more"},
}

// denonFails is what it tells of everything else: the other changer error, for which the same holds.
const denonFails = 0x8B

// What a Rimage's status says after a command that failed, in owners' logs and programs.
var rimageTells = []tells[string]{
	{errDoor, "006", Seen, "door opened"},
	{errOpened, "006", Guess, "that the command which the door cut short fails, and does not wait"},
	{errShut, "007", Seen, "no drive tray detected"},
	{errEmptyBin, "003", Seen, "no disc"},
	{errNothing, "003", Seen, "no disc"},
	{errHeld, "003", Guess, "no owner tells of a disc that it did not let go of"},
	{errDropped, "003", Guess, "the hand has none"},
}

// rimageFails is what it says of everything else, which is a guess.
const rimageFails = "003"

// What a single-letter loader's status says: two digits, in drivers that others wrote for Amtren, Discmakers and Kodak.
var letterTells = []tells[string]{
	{errEmptyBin, "22", Seen, "could not get a disc from the input bin"},
	{errNothing, "21", Seen, "the drive's tray is empty"},
	{errStuck, "18", Seen, "the encoder timed out on the way up"},
	{errHeld, "18", Guess, "as if it were stuck"},
	{errDropped, "18", Guess, "as if it were stuck: 16, the disc sensor, is as likely"},
}

// letterFails is what it says of everything else, which is a guess.
const letterFails = "18"

// What an Aleratec ends a command with, after a program that drives it: a state of its own for a bin or drive without a disc, a line that says
// that the command was rejected, or an alarm. Which of the failures is an alarm is a guess but for the first.
var aleratecTells = []tells[aleratecEnd]{
	{errEmptyBin, aleratecNone, Seen, "S08 of a load"},
	{errNothing, aleratecNone, Seen, "S04 of an unload"},
	{errDoor, aleratecRejected, Guess, "S01C01 is a command that was rejected; nobody tells what an open door gives"},
	{errStuck, aleratecAlarm, Seen, "NAK, until the alarm is cleared"},
}

// aleratecEnd is how a command of an Aleratec can fail; the zero value is an alarm.
type aleratecEnd int

const (
	aleratecAlarm aleratecEnd = iota
	aleratecNone
	aleratecRejected
)
