# shellcheck shell=bash
# ./dev check: a function check_NAME for each step. ./dev sources this file, which uses its functions.

tracked() { # REGEX: our files whose path matches, even in a clone that belongs to another user.
  { git -c safe.directory="*" ls-files 2>/dev/null || find abi core host plugins tests -type f; } |
    grep -E "$1" | while IFS= read -r file; do
    if [ -e "$file" ]; then printf "%s\n" "$file"; fi
  done
}

check_format() { step format "Format (clang-format)" format_files; }
format_files() {
  local files
  files=$(tracked "\.(c|h|cpp|hpp)$")
  [ -n "$files" ] || { echo "no files found"; return 1; }
  if ! xargs -d '\n' clang-format --dry-run --Werror <<<"$files"; then
    echo "To mend a file: clang-format -i FILE"
    return 1
  fi
}

# Uses a tree of its own, configured for clang and never built: clang-tidy reads its compile_commands.json.
check_tidy() {
  step configure-tidy "Configuring build/tidy" cmake --preset dev -B build/tidy -DTASKHOST_BUILD_TESTS=ON -DTASKHOST_LANGUAGES=OFF \
    -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ || return
  step tidy "clang-tidy (takes several minutes)" tidy_files
}
tidy_files() {
  local files # only what users run: tests are built with all warnings as errors, and run
  files=$(tracked "^(core|host|plugins)/.*\.cpp$")
  [ -n "$files" ] || { echo "no files found"; return 1; }
  tidy_one() {
    local text
    text=$(clang-tidy --quiet -p build/tidy "$1" 2>&1) && return
    printf '== %s\n' "$1"
    grep -vE '^([0-9]+ (warning|error)|Suppressed|Use -)' <<<"$text"
    return 1
  }
  export -f tidy_one
  xargs -d '\n' -P "$jobs" -I{} bash -c 'tidy_one "$1"' tidy_one {} <<<"$files"
}

check_arrows() { step arrows "Arrows between the rooms, lengths of files" tests/abi/arrows; }
check_headers() { step headers "Header matrix (gcc, clang, mingw)" env REQUIRE_TOOLS=1 tests/abi/header_matrix; }
check_layout() { step layout "Layout of the C interface on four targets" env REQUIRE_TOOLS=1 tests/abi/golden_layout; }

record=
# shellcheck disable=SC2046,SC2086
check_instructions() {
  need $(bench_packages) || return
  build_product release tests/bench/all || return
  step instructions "Instructions per restart, wake and tick (valgrind)" \
    "$bench_program" instructions tests/bench/instructions.json $record || return
  sed 's/^/  /' "$logs/instructions.log" >&3
}

# On kernels that randomise addresses more than the sanitizer can handle, every program ends at its start.
thread_sanitizer_prefix() {
  echo 'int main() {}' >"$logs/probe.cpp"
  c++ -fsanitize=thread "$logs/probe.cpp" -o "$logs/probe" || return 0
  if ! "$logs/probe" 2>/dev/null && setarch "$(uname -m)" -R "$logs/probe" 2>/dev/null; then
    echo setarch "$(uname -m)" -R
  fi
}
leak_option() { # LeakSanitizer needs ptrace, which some containers refuse.
  echo 'int main() {}' >"$logs/probe.cpp"
  c++ -fsanitize=address "$logs/probe.cpp" -o "$logs/probe" && "$logs/probe" 2>/dev/null || echo :detect_leaks=0
}

# check_sanitizer PRESET TEXT ROOM...: the tests of these rooms, except those that check only the program's messages,
# and the collection of wrong plugins.
check_sanitizer() {
  local prefix=() preset=$1 text=$2 build_only=()
  shift 2
  build_only=("${@/#/tests_}")
  # Checks of each pointer take a third of the compiler's time; the address sanitizer stops at null pointers, too.
  local flags="-O1 -g1 -fno-sanitize=null,alignment"
  build_with_tests "$preset" -DTASKHOST_BUILD_BENCH=OFF -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="$flags" \
    -DCMAKE_C_FLAGS_RELWITHDEBINFO="$flags" -DTASKHOST_LANGUAGES=OFF || return
  if [ "$preset" = tsan ]; then
    read -r -a prefix < <(thread_sanitizer_prefix) || true
  else
    ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1$(leak_option)}
    export ASAN_OPTIONS UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
  fi
  step "test-$preset" "Tests with $text" "${prefix[@]}" ctest --test-dir "build/$preset" --output-on-failure \
    --no-tests=error --parallel "$jobs" --label-regex "^($(IFS='|'; echo "$*"))\$" --label-exclude '^(words|collection)$'
}
check_asan-ubsan() {
  check_sanitizer asan-ubsan "the address and undefined behaviour sanitizers" support plugins core host simulation \
    integration thread_safety
}
# Only the parts that use threads: tests of the whole program would take a quarter of an hour.
check_tsan() { check_sanitizer tsan "the thread sanitizer" support plugins core host thread_safety; }

# The time to build program, library and the plugins in C and C++ without a compiler cache.
compile_budget=150 # seconds of CPU, in user mode
check_compile-time() {
  # shellcheck disable=SC2046
  need $(build_packages) || return
  step configure-compile-time "Configuring build/compile-time" cmake --preset release -B build/compile-time \
    -DTASKHOST_BUILD_TESTS=OFF -DTASKHOST_BUILD_BENCH=OFF -DTASKHOST_LANGUAGES=OFF -DTASKHOST_RUST=OFF \
    -DCMAKE_C_COMPILER_LAUNCHER= -DCMAKE_CXX_COMPILER_LAUNCHER= || return
  step compile-time "A clean build within $compile_budget s of CPU" compile_all || return
  sed -n 's/^budget: /  /p' "$logs/compile-time.log" >&3
}
compile_all() {
  local seconds TIMEFORMAT=%U
  cmake --build build/compile-time --target clean && rm -f build/compile-time/.ninja_log || return
  { time cmake --build build/compile-time --parallel "$jobs" >"$logs/compile-time-build.log" 2>&1; } 2>"$logs/compile-time-user" ||
    { cat "$logs/compile-time-build.log"; return 1; }
  seconds=$(sed 's/[.].*//' "$logs/compile-time-user")
  echo "budget: $seconds s of CPU, of $compile_budget; the slowest files, in seconds of time:"
  awk '$4 ~ /[.]o$/ { printf "budget:   %5.1f  %s\n", ($2 - $1) / 1000, $4 }' build/compile-time/.ninja_log | sort -k2,2nr | head -n 10
  [ "$seconds" -le "$compile_budget" ] || { echo "That is too much: find what the slowest files include"; return 1; }
}

# The next Debian with its g++ and clang, in a root of its own with private mounts. Builds and tests a copy of the files.
debian13_root=build/debian13
check_debian13() {
  [ "$(id -u)" = 0 ] || die "check debian13 makes a root of its own, which only root can: sudo ./dev check debian13"
  need debootstrap:debootstrap
  if [ ! -x "$debian13_root/usr/bin/apt-get" ]; then
    rm -rf "$debian13_root"
    step debian13-root "Fetching Debian 13 into $debian13_root" \
      debootstrap --variant=minbase trixie "$debian13_root" || return
  fi
  step debian13 "Building and testing in it (takes a quarter of an hour)" \
    unshare --mount --propagation private --pid --fork --kill-child bash -c "$(declare -f inside_debian13 tracked); inside_debian13 $debian13_root"
}
inside_debian13() {
  local root=$1 name
  mkdir -p "$root/taskhost"
  find "$root/taskhost" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} + # its build directory is kept
  tracked . | tar --create --files-from - | tar --extract --directory "$root/taskhost" || return
  mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/tmp" && mount --rbind /dev "$root/dev" || return
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 bash -c '
    cd /taskhost && ./dev test && ./dev build && apt-get install -y --no-install-recommends clang &&
      CC=clang CXX=clang++ cmake --preset release -B build/clang -DTASKHOST_LANGUAGES=OFF && cmake --build build/clang &&
      ctest --test-dir build/clang --output-on-failure --label-regex "^(core|host|plugins|integration)$"'
}

check() {
  local all=(format arrows headers layout instructions tidy fuzz asan-ubsan tsan) steps=() failed=() name
  for name in "$@"; do
    if [ "$name" = --record ]; then record=--record; else steps+=("$name"); fi
  done
  [ ${#steps[@]} -gt 0 ] || [ -z "$record" ] || wrong "--record goes with: check instructions"
  [ ${#steps[@]} -gt 0 ] || steps=("${all[@]}")
  for name in "${steps[@]}"; do
    declare -F "check_$name" >/dev/null || die "no such check: $name. There are: ${all[*]} compile-time debian13"
  done
  # shellcheck disable=SC2046
  need git:git $(build_packages) $(test_packages) $(clang_packages) $(mingw_packages)
  for name in "${steps[@]}"; do
    ("check_$name") || failed+=("$name")
  done
  [ ${#failed[@]} -eq 0 ] || die "failed: ${failed[*]}"
  say "All checks passed: ${steps[*]}"
}
