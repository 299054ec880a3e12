package nft

import "github.com/bridgeport-cni/bridgeport/pkg/label"

// recount adds what the change removes to the elements to delete, and exchanges the mark for one that
// counts what the owner has afterwards. A mark that counts nothing goes; so do the elements of
// ClassReply that were added by hand, with the last port that was.
func (c *Conn) recount(change Change, del, add []Element) ([]Element, []Element, error) {
	found, err := c.FindAll(append([]Element{*change.Mark}, unique(change.Remove)...))
	if err != nil {
		return nil, nil, err
	}
	mine := func(e *Element) bool { return e != nil && sameOwner(e.Comment, change.Mark.Comment) }
	more := len(add)
	for _, e := range del {
		if mine(&e) {
			more-- // add has another value of it
		}
	}
	var replies []Element
	for _, e := range found[1:] {
		if names, _ := label.Parse(commentOf(e)); !mine(e) || !names.ByHand() {
			continue
		}
		if e.Class() == ClassReply {
			replies = append(replies, *e)
			continue
		}
		del, more = append(del, *e), more-1
	}
	mark, counts := found[0], label.Names{}
	if mark != nil {
		if counts, _ = label.Parse(mark.Comment); counts.Count < 0 {
			return del, add, nil // somebody changed the comment: DEL searches the maps
		}
	}
	rest := counts.Count + more
	if rest == len(replies) && more < 0 {
		del, rest = append(del, replies...), 0
	}
	if rest == counts.Count {
		return del, add, nil
	}
	if mark != nil {
		del = append(del, *mark)
	}
	if rest > 0 {
		with := *change.Mark
		with.Comment = label.Counting(with.Comment, rest)
		add = append(add, with)
	}
	return del, add, nil
}

func commentOf(e *Element) string {
	if e == nil {
		return ""
	}
	return e.Comment
}
