// A journal beside the files being written, so that work of hours survives a killed process, a full disk and Ctrl-C.
//
//   Journal journal(path + ".journal", work, {&file, ..}, {});   // the Writers' keys and tensors are complete
//   journal.run([&] { file.write(tensor, file.done(tensor), bytes) .. });   // every range, once written, is recorded
//                                                   // at the end the files appear, and the journal goes
//
// One journal serves all files of a work. Its header says what the work is: the options, the source, and a hash of the
// metadata of every file, which name every key and every tensor with its type and place. A record says that a range of a
// tensor's data is on disk, and its hash; records follow their data in batches, each after a sync, so that none is ever
// ahead of what it speaks of. The next process hashes the ranges again, at the speed of the disk, and believes what
// agrees. A journal cut off at any byte is a valid one.
//
//   one line   {"format": 1, "options": {what: value, ..}, "source": {what: value, ..}, "files": {path: hash, ..}}
//   8 bytes    XXH3-64 of the line
//   records    48 bytes each, see Record
#pragma once

#include "gguf/writer.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace coterie::gguf {

using Facts = std::vector<std::pair<std::string, std::string>>;  // what, value

// What makes two runs the same work: the same options on the same source.
struct Work {
  Facts options;  // {"--type", "Q4_K"}; the version of what makes the bytes belongs to them
  Facts source;   // one per file, see describe_source
};

// The name, size and time of change of a file, and the hash of its first MiB. Throws FileError where it cannot be read.
Facts::value_type describe_source(const std::string& path);

struct JournalOptions {
  bool restart = false;  // what an earlier process has left is thrown away
  std::uint64_t batch_bytes =
      256ULL << 20;  // most data between two syncs (there is one every few seconds, too)
  std::function<void(std::uint64_t done, std::uint64_t total)>
      verifying;  // bytes hashed again; may be empty, may throw
};

class Journal {
 public:
  // Opens the files (in place of begin_data()), or goes on with what is there. Throws UsageError where the work there has
  // other options, FileError where its source was another or the journal is damaged, DiskFullError where there is no room,
  // Error where another process is at it. The files must outlive the journal.
  Journal(const std::string& path, const Work& work, const std::vector<Writer*>& files,
          const JournalOptions& options);
  ~Journal();  // without commit(): what is done stays for the next process; where nothing is done, nothing stays
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  std::uint64_t resumed_bytes() const;  // of tensor data, found done
  void commit();                        // in place of the files' own
  // Does the work and commits. An Error of either says how to go on, where something is kept to go on with.
  void run(const std::function<void()>& work);

 private:
  friend class Writer;
  struct Record {
    std::uint32_t file, tensor;
    std::uint64_t offset, bytes;
    std::uint64_t hash[2];  // XXH3-128 of the range, high half first
    std::uint64_t check;    // XXH3-64 of the fields above, seeded with the header's hash
  };
  static_assert(sizeof(Record) == 48);
  struct Descriptor {
    int fd = -1;
    ~Descriptor();
  };

  void open_locked();
  bool go_on(const std::string& header);  // false: nothing to go on with
  void begin(const std::string& header);
  std::string read_line();
  void remove_partials();
  std::vector<Record> read_records();
  void verify(std::vector<Record> records, const JournalOptions& options);
  void open_parts();
  void record(const Writer& file, int tensor, std::uint64_t offset, std::span<const std::byte> bytes);
  void flush();
  void flush_or_lose();
  void append(std::span<const std::byte> bytes);
  std::uint64_t check_of(const Record& r) const;
  bool names_a_range(const Record& r) const;
  std::string place_of(const Writer::Part& part) const;
  void leave();

  const std::string path_;
  const std::vector<Writer*> files_;
  const std::uint64_t batch_bytes_;
  Descriptor journal_;
  std::uint64_t end_ = 0;  // of what is valid in the journal
  std::uint64_t header_hash_ = 0;
  bool began_ = false;         // the header is ours: begun here, or the same
  bool nothing_done_ = false;  // there is nothing that the next process can use
  bool committing_ = false;    // all data were on disk: only names remain to be put in place
  bool committed_ = false;

  std::mutex mutex_;  // of what follows
  std::vector<Record> pending_;
  std::set<OutputFile*> unsynced_;
  std::uint64_t pending_bytes_ = 0;
  std::chrono::steady_clock::time_point last_flush_;
};

}  // namespace coterie::gguf
