// Package blocks reads the fenced blocks of the documents, and what the lab does
// with those that hold commands.
//
//	list, err := blocks.Parse(markdown)
//	commands, err := list[0].Commands() // of a block ```console
//	err = blocks.Match(commands[0].Want, output)
//
// A block `console` is a session: lines with a prompt, "[root@drbdtest1 ~]#
// command", and below each what it prints. "…" stands for what varies: in a line
// for any text, alone in a line for any number of lines. Times, sizes and parts
// of a hundred differ from run to run and are never compared; nor are spaces.
//
// What only the lab has to know stands in comments right before a block, which a
// reader does not see:
//
//	<!-- lab: not run: REASON -->    nothing of the block is run
//	<!-- lab: given: STATE -->       the lab is brought to this state first
//	<!-- lab: together -->           the block's commands run at the same time
//	<!-- lab: as: COMMAND -->        run instead of the block's only command
//	<!-- lab: with: A=B -->          B stands for A in the block's commands
//	<!-- lab: exit: N -->            the block's commands end with N, not with 0
//	<!-- lab: until -->              repeated until the output is as shown
//
// A block `sh` is a script or a fragment for the reader; it is never run and has
// to say why. Blocks in other languages are no commands. A block that is only
// indented has no language, and is refused.
//
// The package reads and compares text alone; test/lab/scenario runs it.
package blocks
