import Foundation
import RetortCore
import Testing

@testable import RetortRetrieval

@Suite("Building an index of a large corpus")
final class ResumedBuildingTests {
    private let folder: TestFolder
    private var file: URL { folder.url.appendingPathComponent("c.sqlite") }

    init() throws { folder = try TestFolder() }

    deinit { folder.remove() }

    private func lines(_ numbers: Range<Int>, quoted: Bool = false) -> String {
        let mark = quoted ? "\\\"" : ""
        return numbers.map {
            "{\"id\": \"\($0)\", \"contents\": \"\(mark)Title \($0)\(mark)\\nword\($0 % 97) number\($0) common\"}\n"
        }.joined()
    }

    private func write(_ text: String, to name: String) throws -> URL {
        let file = folder.url.appendingPathComponent(name)
        try Data(text.utf8).write(to: file)
        return file
    }

    /// As gzip compresses it.
    private func zipped(_ text: String) throws -> Data {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["gzip", "-c"]
        let (input, output) = (Pipe(), Pipe())
        (process.standardInput, process.standardOutput) = (input, output)
        try process.run()
        let writing = input.fileHandleForWriting
        DispatchQueue.global().async {
            try? writing.write(contentsOf: Data(text.utf8))
            try? writing.close()
        }
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return data
    }

    private struct Stopped: Error {}

    /// What a search finds, and how the words are kept.
    private func content(of file: URL) async throws -> [String] {
        let index = try PassageIndex(file)
        var found = ["\(index.count)", "\(index.quotesTitles)"]
        for query in ["word3", "common", "number4999", "number5000 word1", "title 11999"] {
            found += try await index.search(query, limit: 20).map { "\($0.id) \($0.title) \($0.text) \($0.score)" }
        }
        return found
    }

    @Test("a build that was stopped at any step goes on there, and ends as one that was not")
    func resumed() async throws {
        let corpus = try write(lines(0..<12_345), to: "c.jsonl")
        try PassageIndex.build(from: corpus, to: file)
        let whole = try await content(of: file)
        try FileManager.default.removeItem(at: file)
        // As a kill leaves it: what was committed is there, and nothing was tidied up.
        var reads: [Int] = []
        for stop in [5000, 10_000, 12_345] {
            let draft = try IndexDraft(of: file, source: PassageCorpus(files: [corpus]).hash())
            #expect(throws: Stopped.self) {
                try draft.read(PassageCorpus(files: [corpus])) { count in
                    reads.append(count)
                    if count == stop { throw Stopped() }
                }
            }
            #expect(PassageIndex.unfinished(of: file)?.count == stop)
            #expect(!FileManager.default.fileExists(atPath: file.path))
        }
        #expect(reads == [5000, 10_000, 12_345])
        #expect(try PassageIndex.build(from: corpus, to: file) == 12_345)
        #expect(try await content(of: file) == whole)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted() == ["c.jsonl", "c.sqlite"])
    }

    @Test("the draft of another corpus is given up, and one that is damaged")
    func otherDrafts() async throws {
        let corpus = try write(lines(0..<6000), to: "c.jsonl")
        do {
            let draft = try IndexDraft(of: file, source: "another")
            try? draft.read(PassageCorpus(files: [corpus])) { _ in throw Stopped() }
        }
        #expect(try PassageIndex.build(from: corpus, to: file) == 6000)
        try FileManager.default.removeItem(at: file)
        try Data(repeating: 7, count: 10_000).write(to: IndexDraft.url(of: file))
        #expect(try PassageIndex.build(from: corpus, to: file) == 6000)
        #expect(try await PassageIndex(file).search("number5999").first?.id == "5999")
    }

    @Test("builders of one index wait for each other, and the second finds it done")
    func together() async throws {
        let corpus = try write(lines(0..<800), to: "c.jsonl")
        let file = file
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<4 { group.addTask { try PassageIndex.buildIfNeeded(from: corpus, to: file) } }
            for try await count in group { #expect(count == 800) }
        }
    }

    @Test("files that gzip compressed, and corpora of several files, are read as one file is")
    func files() async throws {
        let plain = try write(lines(0..<12_000, quoted: true), to: "c.jsonl")
        try PassageIndex.build(from: plain, to: file)
        let whole = try await content(of: file)
        #expect(whole[1] == "true")
        let zip = folder.url.appendingPathComponent("c.jsonl.gz")
        // Two streams one behind the other, and blocks of zeros, are one text.
        let parts = try zipped(lines(0..<7000, quoted: true)) + zipped(lines(7000..<12_000, quoted: true))
        try (parts + Data(count: 512)).write(to: zip)
        let cut = [
            try write(lines(0..<5001, quoted: true), to: "1.jsonl"),
            try write("\n" + lines(5001..<12_000, quoted: true), to: "2.jsonl"),
        ]
        for corpus in [[zip], cut] {
            let other = folder.url.appendingPathComponent("other.sqlite")
            #expect(throws: Stopped.self) {
                let source = try PassageCorpus(files: corpus).hash()
                try IndexDraft(of: other, source: source).read(PassageCorpus(files: corpus)) { count in
                    if count == 10_000 { throw Stopped() }
                }
            }
            var first: Int?
            try PassageIndex.buildIfNeeded(from: corpus, to: other) { progress in
                if first == nil, case .read(let count) = progress { first = count }
            }
            #expect(first == 12_000)
            #expect(try await content(of: other) == whole)
            try FileManager.default.removeItem(at: other)
        }
    }

    @Test(
        "a compressed file that is cut or damaged is named, a bad line by its number, an id by the file and line that repeat it"
    )
    func faults() throws {
        let zip = folder.url.appendingPathComponent("c.jsonl.gz")
        let data = try zipped(lines(0..<9000))
        try data.dropLast(100).write(to: zip)
        let early = JSONLinesError.damaged(file: zip.path, reason: "its compressed data ends too early")
        #expect(throws: early) { try PassageIndex.build(from: zip, to: self.file) }
        var broken = data
        for place in 5000..<5100 { broken[place] = 0x55 }
        try broken.write(to: zip)
        #expect(throws: JSONLinesError.self) { try PassageIndex.build(from: zip, to: self.file) }
        let files = [
            try write(lines(0..<6000), to: "1.jsonl"),
            try write("\n" + lines(7000..<7005) + lines(3..<4), to: "2.jsonl"),
        ]
        #expect(throws: RetrievalError.repeatedID(file: files[1].path, line: 7, id: "3")) {
            try PassageIndex.buildIfNeeded(from: files, to: self.file) { _ in }
        }
        let bad = [files[0], try write(lines(7000..<7002) + "{\"id\": 1}\n", to: "3.jsonl")]
        #expect(throws: JSONLinesError.malformed(file: bad[1].path, line: 3, reason: "it lacks 'contents'")) {
            try PassageIndex.buildIfNeeded(from: bad, to: self.file) { _ in }
        }
        #expect(!FileManager.default.fileExists(atPath: IndexDraft.url(of: file).path))
        #expect(throws: JSONLinesError.self) {
            let list = try self.write("[1, 2]", to: "4.jsonl")
            try PassageIndex.build(from: list, to: self.file)
        }
    }

    @Test("an index of an older version is searched as it is, and built anew from its corpus")
    func older() async throws {
        let corpus = try write(lines(0..<10), to: "c.jsonl")
        try PassageIndex.build(from: corpus, to: file)
        try IndexFile.makeOlder(file)
        let old = try PassageIndex(file)
        #expect(old.count == 10 && old.source == "sha256:old")
        #expect(try await old.search("number7").first?.id == "7")
        try PassageIndex.buildIfNeeded(from: corpus, to: file)
        #expect(try PassageIndex(file).source.hasPrefix("in-order:"))
    }
}
