// Room: test support. Owns what a test's mount namespace must not do to the tests beside it.

/**
 * Shell code that begins what runs in a mount namespace of its own: it lets go of the copies of other tests' mounts, whose
 * loop devices would stay as long as they do. `kept`: the directory of this test, whose mounts stay.
 */
export const letGoOfOthers = (kept: string): string => `
  while read -r source directory _; do
    case "$source $directory" in
      *" ${kept}"*) ;;
      /dev/loop*" "*/snapmill-*) umount -l "$(printf %b "$directory")" || : "gone with one that it lay on" ;;
    esac
  done </proc/self/mounts
`;
