// Room: test. Owns the isolation of a test's mount namespace from the tests beside it.

/**
 * Shell code for the start of a command in its own mount namespace: it unmounts the copies of other tests' mounts, which
 * would keep their loop devices busy. `kept`: the directory of this test, whose mounts stay.
 */
export const letGoOfOthers = (kept: string): string => `
  while read -r source directory _; do
    case "$source $directory" in
      *" ${kept}"*) ;;
      /dev/loop*" "*/snapmill-*) umount -l "$(printf %b "$directory")" || : "gone with one that it lay on" ;;
    esac
  done </proc/self/mounts
`;
