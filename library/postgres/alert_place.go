package postgres

import "fmt"

// listed is how many places of a library are told one by one.
const listed = 10

// elements: places that somebody should look at.
func (x *alerter) elements() error {
	var lib string
	var e Element
	rest, told := map[string]int{}, map[string]int{}
	err := x.each(`
select l.name, e.kind, e.number, e.fill, coalesce(d.label, ''), e.flag, e.trouble, e.tag
  from element e join library l on l.id = e.library_id left join disc d on d.id = e.disc_id and d.state <> 'unknown'
 where e.flag <> '' or e.trouble <> '' order by l.name, e.kind, e.number`,
		[]any{&lib, &e.Place.Kind, &e.Place.Number, &e.Fill, &e.Disc, &e.Flag, &e.Trouble, &e.Tag}, func() {
			if told[lib]++; told[lib] > listed {
				rest[lib]++
				return
			}
			x.add(lib, "element", e.alert(), e.next(x.in(lib)))
		})
	for lib, n := range rest {
		x.add(lib, "element", fmt.Sprintf("%d more places need a look", n), fmt.Sprintf("'odarchive library elements --flagged%s' lists them all", x.in(lib)))
	}
	return err
}

func (e *Element) alert() string {
	switch {
	case e.Flag == "":
		return fmt.Sprintf("%v: the robot says: %s", e.Place, e.Trouble)
	case e.Trouble == "":
		return fmt.Sprintf("%v: %s", e.Place, e.Flag)
	}
	return fmt.Sprintf("%v: %s; the robot says: %s", e.Place, e.Flag, e.Trouble)
}

// next is what settles the place; in is what commands need to say which library is meant.
func (e *Element) next(in string) string {
	set := fmt.Sprintf("'odarchive library set-element %v %%s%s'", e.Place, in)
	empty, full := fmt.Sprintf(set, "empty"), fmt.Sprintf(set, "full --disc DISC")
	switch {
	case e.Flag == "":
		return "see to it; the robot is asked again by itself"
	case e.Place.Kind == Picker:
		return fmt.Sprintf("take out what the hand holds and put it into a slot, say 'odarchive library set-element slot NUMBER full --disc DISC%s' (or no --disc when nobody knows it), and then %s", in, empty)
	case e.Fill == Unknown:
		return fmt.Sprintf("look what is there (nothing is moved into it until then) and say so: %s or %s", empty, full)
	case e.Fill == Empty:
		return fmt.Sprintf("find what should be there, put it back and say %s; if it is rightly empty, %s", full, empty)
	case e.Disc == "":
		return fmt.Sprintf("take out what is there and say %s; or, if you know which disc it is, %s", empty, full)
	default:
		return fmt.Sprintf("look whether disc %s is there: if so, say %s; if not, take out what is there and say %s", e.Disc, fmt.Sprintf(set, "full --disc "+e.Disc), empty)
	}
}
