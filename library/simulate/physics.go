package simulate

import (
	"math"
	"time"
)

// Physics is how long a library's machines take. Seconds, unless said otherwise. The defaults are those of a robot with one picker
// and of 25 GB discs; a site's own come from what its agents measured.
type Physics struct {
	Move     float64 `toml:"move" json:"move"`           // picker, slot to drive or back
	Eject    float64 `toml:"eject" json:"eject"`         // eject and spin down: the drive is busy, the picker free
	Load     float64 `toml:"load" json:"load"`           // load, spin up, recognise the disc
	Seek     float64 `toml:"seek" json:"seek"`           // within a disc
	ReadRate float64 `toml:"read_rate" json:"read_rate"` // bytes a second, the mean over a whole disc
	// OuterRatio is how much faster the outer edge of a disc is read than the inner; 1 for no difference.
	OuterRatio float64 `toml:"outer_ratio" json:"outer_ratio"`
	BurnRate   float64 `toml:"burn_rate" json:"burn_rate"` // bytes a second
	DiscBytes  float64 `toml:"disc_bytes" json:"disc_bytes"`
}

// DefaultPhysics is a BD-R 25 GB in a drive that reads it at "8x" and burns it at 6x, and a robot of 12 s per exchange.
func DefaultPhysics() Physics {
	return Physics{Move: 6, Eject: 6, Load: 22, Seek: 0.15, ReadRate: 25e6, OuterRatio: 1.7, BurnRate: 25025314816. / 930, DiscBytes: 25025314816}
}

const sector = 2048

// sectors is how many a disc has.
func (p Physics) sectors() int64 { return int64(p.DiscBytes) / sector }

// read is how long n sectors from first on take: constant angular velocity, so that the rate grows with the radius, which grows
// with the root of the area that lies further in.
func (p Physics) read(first, n int64) float64 {
	if p.OuterRatio <= 1 {
		return float64(n) * sector / p.ReadRate
	}
	all := float64(p.sectors())
	square := p.OuterRatio*p.OuterRatio - 1
	inner := p.ReadRate * 2 / (p.OuterRatio + 1)
	at := func(s int64) float64 { return math.Sqrt(1 + min(float64(s)/all, 1)*square) }
	return (at(first+n) - at(first)) * 2 / square * p.DiscBytes / inner
}

// reached is the inverse of read: how many sectors from first on have been read after some seconds.
func (p Physics) reached(first int64, seconds float64) int64 {
	if p.OuterRatio <= 1 {
		return int64(seconds * p.ReadRate / sector)
	}
	square := p.OuterRatio*p.OuterRatio - 1
	inner := p.ReadRate * 2 / (p.OuterRatio + 1)
	all := float64(p.sectors())
	at := math.Sqrt(1+float64(first)/all*square) + seconds*inner/p.DiscBytes*square/2
	return max(0, int64((at*at-1)/square*all)-first)
}

// burn is how long n sectors take to be recorded.
func (p Physics) burn(n int64) float64 { return float64(n) * sector / p.BurnRate }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
