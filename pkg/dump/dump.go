// Package dump repeats netlink dumps that a change interrupted.
package dump

import "errors"

// tries bounds how often: on a node where something changes all the time, the last
// answer's error is for the caller.
const tries = 10

// Whole calls list until the kernel was not interrupted while it answered
// (NLM_F_DUMP_INTR: entries may be missing or doubled). interrupted is the library's
// error for that; any other ends it.
func Whole[T any](interrupted error, list func() ([]T, error)) (got []T, err error) {
	err = Again(interrupted, func() (err error) {
		got, err = list()
		return err
	})
	return got, err
}

// Again is Whole for a dump that keeps what it got by itself, and begins anew each time.
func Again(interrupted error, do func() error) (err error) {
	for range tries {
		if err = do(); !errors.Is(err, interrupted) {
			break
		}
	}
	return err
}
