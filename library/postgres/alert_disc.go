package postgres

import "fmt"

// ailing is a disc that somebody should look after.
type ailing struct {
	lib, label        string
	grade             string // that two drives or an operator have confirmed: migrate_soon, migrate_now or empty
	gradeReason       string
	reason            string // why it is suspect
	placed            bool   // it is in the library
	asked             bool   // it is to be read as a whole, or is being read
	reading           int    // drive in which it is being read; 0 for none
	bad               int    // drive that could not read it last; 0 for none
	others            int    // drives in service besides bad, where the disc is
	down              int    // one that is not; 0 for none
	replacing, healed bool   // it is being replaced; that was tried
	gaveUp            string // why it has no successor
	lost              bool   // an operator says so, and its image is not gone yet
}

const selectAiling = `
select l.name, d.label, case when d.grade >= 'migrate_soon' and d.grade_confirmed then d.grade::text else '' end, d.grade_reason, d.reason,
       e.disc_id is not null, t.id is not null, coalesce(t.drive, 0), coalesce(b.drive, 0),
       (select count(*) from drive v join element p on p.library_id = v.library_id and p.kind = 'drive' and p.number = v.number
         where v.library_id = l.id and v.up and p.unit = coalesce(e.unit, p.unit) and v.number is distinct from b.drive),
       coalesce((select min(v.number) from drive v join element p on p.library_id = v.library_id and p.kind = 'drive' and p.number = v.number
         where v.library_id = l.id and not v.up and p.unit = coalesce(e.unit, p.unit) and v.number is distinct from b.drive), 0),
       h.disc_id is not null and h.finished is null, h.disc_id is not null, coalesce(h.error, ''), d.state = 'lost'
  from disc d join library l on l.id = d.library_id
  left join element e on e.disc_id = d.id
  left join heal h on h.disc_id = d.id
  left join image i on i.id = d.image_id
  left join task t on t.disc_id = d.id and t.kind = 'verify' and t.state in ('queued', 'leased')
  left join lateral (select r.drive from reading r where r.disc_id = d.id and r.library_id = l.id and r.finished is not null and not r.good order by r.id desc limit 1) b on true
 where d.state = 'suspect' or d.state = 'lost' and i.gone is null and h.error <> '' or d.state = 'good' and d.grade >= 'migrate_soon' and d.grade_confirmed`

func (x *alerter) discs() error {
	var a ailing
	return x.each(selectAiling, []any{
		&a.lib, &a.label, &a.grade, &a.gradeReason, &a.reason, &a.placed, &a.asked, &a.reading, &a.bad, &a.others, &a.down, &a.replacing, &a.healed, &a.gaveUp, &a.lost,
	}, func() { x.add(a.lib, "disc", a.text(), a.next(x.in(a.lib))) })
}

func (a *ailing) text() string {
	text := fmt.Sprintf("disc %s is suspect: %s", a.label, a.reason)
	switch {
	case a.lost:
		text = fmt.Sprintf("disc %s is lost: %s", a.label, a.reason)
	case a.grade == "migrate_now":
		text = fmt.Sprintf("disc %s is to be migrated now: %s", a.label, a.gradeReason)
	case a.grade == "migrate_soon":
		text = fmt.Sprintf("disc %s is to be migrated soon: %s", a.label, a.gradeReason)
	}
	switch {
	case a.replacing:
		text += "; it is being replaced"
	case a.gaveUp != "":
		text += "; replacing it was given up: " + a.gaveUp
	}
	return text
}

// next is what settles the disc; in is what commands need to say which library is meant.
func (a *ailing) next(in string) string {
	show := fmt.Sprintf("'odarchive discs show %s'", a.label)
	heal := fmt.Sprintf("'odarchive discs heal %s'", a.label)
	scrub := fmt.Sprintf("'odarchive scrub %s'", a.label)
	word := fmt.Sprintf("say yourself what it is: 'odarchive discs condemn %s --reason WHY' or 'odarchive discs clear %[1]s --reason WHY'", a.label)
	switch {
	case a.replacing:
		return "nothing, if there are blank discs: " + show + " tells how far it is"
	case a.lost:
		return fmt.Sprintf("bring what it needs, a readable disc of its image or of its set, then %s tries again; or give up what is on it: 'odarchive discs lost %s --reason WHY'", heal, a.label)
	case !a.placed && a.grade == "":
		return fmt.Sprintf("find it and put it into a slot: 'odarchive library set-element slot NUMBER full --disc %s%s', then %s; if it is not to be had any more, 'odarchive discs lost %[1]s --reason WHY'", a.label, in, scrub)
	case a.gaveUp != "":
		return fmt.Sprintf("bring what it needs, a readable disc of its image or of its set, then %s tries again; if there is none, 'odarchive discs lost %s --reason WHY' gives it up", heal, a.label)
	case a.grade != "":
		return heal + " replaces it, while it can be read"
	case a.reading > 0:
		return fmt.Sprintf("nothing yet: drive %d is reading it; %s tells what comes of it", a.reading, show)
	case a.asked && (a.bad == 0 || a.others > 0):
		return "nothing yet: it is about to be read whole; " + show + " tells what comes of it"
	case a.bad == 0 && a.others > 0:
		return scrub + " reads it whole, and settles it"
	case a.others > 0:
		return fmt.Sprintf("%s reads it in another drive than drive %d, and settles it; or %s", scrub, a.bad, word)
	case a.down > 0:
		return fmt.Sprintf("have a second drive read it: 'odarchive drives up %d%s', then %s; or %s", a.down, in, scrub, word)
	case a.bad == 0:
		return "take a drive into service, then " + scrub + "; or " + word
	default:
		return fmt.Sprintf("there is no drive besides drive %d: clean that and the disc, then %s; or %s", a.bad, scrub, word)
	}
}
