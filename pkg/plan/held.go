package plan

import "fmt"

// AddressHeldError says that an address which the attachment was given belongs to a link that
// lives. It is an ErrConflict.
type AddressHeldError struct {
	Address string // an IP address, or a MAC address and the bridge
	Holder  string // container, network, interface and pod, as far as they are known, or a port
}

func (e *AddressHeldError) Error() string {
	return fmt.Sprintf("address %s is held by %s: choose another address, or delete that container (its lease may be lost, or another network has the same subnet)", e.Address, e.Holder)
}

func (e *AddressHeldError) Unwrap() error { return ErrConflict }
