package netlink

import (
	"errors"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Request is a message of NETLINK_ROUTE: kind is RTM_*, flags are NLM_F_*, head is the struct
// that stands before the attributes. Attributes that are nil are left out.
func Request(kind, flags int, head nl.NetlinkRequestData, attrs ...*nl.RtAttr) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, flags)
	req.AddData(head)
	for _, a := range attrs {
		if a != nil {
			req.AddData(a)
		}
	}
	return req
}

// LinkRequest is a message about the link called name; up brings the link up.
func LinkRequest(kind, flags int, name string, up bool, attrs ...*nl.RtAttr) *nl.NetlinkRequest {
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	if up {
		info.Flags, info.Change = unix.IFF_UP, unix.IFF_UP
	}
	return Request(kind, flags, info, append([]*nl.RtAttr{nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name))}, attrs...)...)
}

// Bytes is an attribute; nil for an empty value.
func Bytes(kind int, value []byte) *nl.RtAttr {
	if len(value) == 0 {
		return nil
	}
	return nl.NewRtAttr(kind, value)
}

// Number is an attribute of four bytes; nil for 0, which leaves the kernel's value.
func Number[T int | uint32](kind int, n T) *nl.RtAttr {
	if n == 0 {
		return nil
	}
	return nl.NewRtAttr(kind, nl.Uint32Attr(uint32(n)))
}

// Flag is an attribute of one byte, 0 or 1.
func Flag(kind int, on bool) *nl.RtAttr {
	if on {
		return nl.NewRtAttr(kind, []byte{1})
	}
	return nl.NewRtAttr(kind, []byte{0})
}

// Nest is an attribute of attributes, without those that are nil; nil where all are.
func Nest(kind int, attrs ...*nl.RtAttr) *nl.RtAttr {
	attrs = slices.DeleteFunc(attrs, func(a *nl.RtAttr) bool { return a == nil })
	if len(attrs) == 0 {
		return nil
	}
	nest := nl.NewRtAttr(kind, nil)
	for _, a := range attrs {
		nest.AddChild(a)
	}
	return nest
}

// LinkInfo is IFLA_LINKINFO for a new link of the kind, such as "bridge", with what the kind
// has of its own.
func LinkInfo(kind string, own ...*nl.RtAttr) *nl.RtAttr {
	return Nest(unix.IFLA_LINKINFO, nl.NewRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(kind)), Nest(nl.IFLA_INFO_DATA, own...))
}

// Ignore is err, or nil where err is one of the given errors.
func Ignore(err error, these ...error) error {
	for _, e := range these {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}
