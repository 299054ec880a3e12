// Package shell writes words for sh(1).
package shell

import "strings"

// plain are the characters that mean themselves wherever they stand in a word.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,@%+="

// Quote is the text as one word: in single quotes where it has a character that the shell
// reads as something else, a space too.
func Quote(text string) string {
	if text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// Command is the program with arguments that the program itself takes apart, as nft(8) does:
// in quotes only where the shell would read them differently.
func Command(program, args string) string {
	if strings.Trim(args, plain+" ") == "" {
		return program + " " + args
	}
	return program + " " + Quote(args)
}
