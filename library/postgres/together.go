package postgres

import "fmt"

// together is which images (i) of vaults (v) have all their copies in the library of one of them (d), although another library has drives for their medium.
const together = `v.apart and i.copies > 1 and i.safe is not null
   and not exists (select from disc o where o.image_id = i.id and o.library_id <> d.library_id and o.state in ('good', 'suspect', 'burning', 'verifying'))
   and exists (select from drive w where w.library_id <> d.library_id and (w.reads = '{}' or i.medium = any (w.reads)))`

// couldBeCarried is which discs (d) are further copies of such images.
const couldBeCarried = `d.state in ('good', 'suspect') and ` + together + `
   and exists (select from disc f where f.image_id = i.id and f.id < d.id and f.state in ('good', 'suspect'))`

// together: copies that should be apart lie in one library.
func (x *alerter) together() error {
	if !x.several {
		return nil
	}
	var lib, vault string
	var images int
	return x.each(`
select l.name, v.name, count(distinct i.id)
  from image i join vault v on v.id = i.vault_id join disc d on d.image_id = i.id join library l on l.id = d.library_id
 where `+couldBeCarried+` group by l.name, v.name`, []any{&lib, &vault, &images}, func() {
		x.add(lib, "copies", fmt.Sprintf("%d images of vault %s have all their copies here", images, vault),
			fmt.Sprintf("carry the discs that 'odarchive discs --together --library %s' lists to another library, and say there 'odarchive library set-element slot NUMBER full --disc DISC --library LIBRARY'; "+
				"or, if they are to lie together, 'odarchive vaults set %s --together'", lib, vault))
	})
}
