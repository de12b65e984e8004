import Foundation
import Testing

@testable import RetortCore
@testable import RetortStore

@Suite("JSON Lines file")
struct JSONLinesFileTests {
    private struct Record: Codable, Equatable {
        var n: Int
    }

    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func read(
        _ text: String, tornEnd: JSONLinesFile.TornEnd = .refuse
    ) throws -> (records: [Record], account: JSONLinesFile.Account) {
        try JSONLinesFile(try folder.file("file.jsonl", text), tornEnd: tornEnd).read(Record.self)
    }

    @Test(
        "records are read whatever surrounds them",
        arguments: [
            ("{\"n\":1}\n{\"n\":2}\n", 0), ("{\"n\":1}\n{\"n\":2}", 0), ("{\"n\":1}\r\n{\"n\":2}\r\n", 0),
            ("\u{FEFF}{\"n\":1}\n{\"n\":2}\n", 0), ("\n{\"n\":1}\n \t\n{\"n\":2}\n\n", 3),
        ])
    func tolerance(text: String, emptyLines: Int) throws {
        let (records, account) = try read(text)
        #expect(records == [Record(n: 1), Record(n: 2)])
        #expect(account == JSONLinesFile.Account(records: 2, emptyLines: emptyLines))
    }

    @Test("an empty file has no records", arguments: ["", "\n", "\u{FEFF}"])
    func empty(text: String) throws {
        #expect(try read(text).records.isEmpty)
    }

    @Test(
        "a malformed line is named by file, number and reason",
        arguments: [
            ("{\"n\":1}\n{\"n\":\n{\"n\":3}\n", 2, "it is not valid JSON"), ("\n\n{}\n", 3, "it lacks 'n'"),
            ("{\"n\":\"1\"}\n", 1, "'n' is of another type"), ("{\"n\":null}\n", 1, "'n' is null"),
            ("{\"n\":1}\n[1]\n", 2, "the record is of another type"),
            ("{\"n\":1}\n{\"n\":", 2, "the file ends in the middle of this record"),
            // Whole, though no line break follows: a record of another kind, not a cut file.
            ("{\"n\":1}\n{\"m\":1}", 2, "it lacks 'n'"),
        ])
    func malformed(text: String, line: Int, reason: String) throws {
        let error = #expect(throws: JSONLinesError.self) { try read(text) }
        #expect(error == .malformed(file: folder.file("file.jsonl").path, line: line, reason: reason))
    }

    @Test("a cut last line is left out only when that was asked for, and is named")
    func torn() throws {
        let (records, account) = try read("{\"n\":1}\n{\"n\":", tornEnd: .leaveOut)
        #expect(records == [Record(n: 1)])
        #expect(account.tornLine == 2)
        #expect(throws: JSONLinesError.self) { try read("{\"n\":\n{\"n\":1}\n", tornEnd: .leaveOut) }
    }

    @Test("lines longer than a read, and lines across reads")
    func longLines() throws {
        struct Text: Codable, Equatable { var text: String }
        let file = folder.file("long.jsonl")
        let texts = [0, 10, 3 << 20, 1, (1 << 20) - 12, 5].map { Text(text: String(repeating: "é", count: $0)) }
        try JSONLines.write(texts, to: file)
        #expect(try JSONLinesFile(file).read(Text.self).records == texts)
    }

    @Test("trajectories come back from a file as they were, and the file from them", arguments: 0..<8)
    func trajectories(seed: UInt64) throws {
        var maker = TrajectoryMaker(seed: seed)
        let saved = (0..<40).map { maker.trajectory($0) }
        let (first, second) = (folder.file("first.jsonl"), folder.file("second.jsonl"))
        try JSONLines.write(saved, to: first)
        let read = try JSONLinesFile(first).read(Trajectory.self).records
        #expect(read == saved)
        try JSONLines.write(read, to: second)
        #expect(try Data(contentsOf: first) == Data(contentsOf: second))
    }

    @Test(
        "a file that is one JSON list is refused with what to do",
        arguments: ["[{\"n\": 1}]", "[\n  {\"n\": 1}\n]\n", "\u{FEFF}[{\"n\": 1},\r\n{\"n\": 2}]"])
    func list(text: String) throws {
        let file = try folder.file("list.jsonl", text)
        for read in [
            { _ = try JSONLinesFile(file).read(Record.self) }, { _ = try JSONLinesFile(file).read(JSONValue.self) },
            { _ = try QuestionFile(file, family: .math, split: "") }, { _ = try DistillationLogImporter().read(file) },
            { _ = try ATIFImporter().read(file) }, { _ = try ToRAImporter().records(in: file) },
        ] as [() throws -> Void] {
            let error = #expect(throws: JSONLinesError.self) { try read() }
            #expect(
                error?.description.contains("line 1: it is a list, and a .jsonl file has one record a line") == true)
        }
    }

    @Test("a byte-order mark is taken by every reader")
    func marks() throws {
        let mark = "\u{FEFF}"
        let questions = try folder.file("q.json", mark + #"{"examples": [{"question": "a", "answer": 1}]}"#)
        #expect(try QuestionFile(questions, family: .math, split: "").tasks.count == 1)
        let fireAct = try folder.file("f.json", mark + #"[{"instruction": "a", "output": "Action: finish[b]"}]"#)
        #expect(try FireActImporter.read(fireAct).count == 1)
        let lines = try folder.file("l.jsonl", mark + "{\"n\":1}\r\n{\"n\":2}")
        #expect(try JSONLinesFile(lines).read(Record.self).records.map(\.n) == [1, 2])
        #expect(try JSONFile.value(fireAct).array?.count == 1)
    }

    @Test(
        "a line longer than the bound is refused with its place before more of it is read",
        arguments: [("", 1), ("{\"n\":1}\n\n", 3), ("{\"n\":1}\r\n", 2)])
    func tooLong(before: String, line: Int) throws {
        let fits = "{\"n\":" + String(repeating: " ", count: 500) + "1}"
        let file = try folder.file("long.jsonl", before + fits + "\n" + fits)
        #expect(try JSONLinesFile(file, longestLine: fits.utf8.count).read(Record.self).records.last == Record(n: 1))
        let limit = fits.utf8.count - 1
        let size = before.utf8.count + 2 * fits.utf8.count + 1
        for end in [JSONLinesFile.TornEnd.refuse, .leaveOut] {
            let reader = JSONLinesFile(file, tornEnd: end, longestLine: limit)
            let error = JSONLinesError.tooLong(file: file.path, line: line, limit: limit, fileSize: size)
            #expect(throws: error) { try reader.read(Record.self) }
            #expect(throws: error) { try reader.forEachValue { _, _ in } }
        }
    }

    @Test("every reader of lines refuses one that fills the memory; a long list in one line is read whole")
    func bound() throws {
        let file = folder.file("huge.jsonl")
        _ = FileManager.default.createFile(atPath: file.path, contents: Data())
        let handle = try FileHandle(forWritingTo: file)
        // A hole: no more than its size is written.
        try handle.truncate(atOffset: UInt64(JSONLinesFile.longestLine + 1))
        try handle.close()
        for read in [
            { _ = try QuestionFile(file, family: .math, split: "") }, { _ = try DistillationLogImporter().read(file) },
            { _ = try ATIFImporter().read(file) }, { _ = try ToRAImporter().records(in: file) },
            { _ = try RecordFile(file) }, { _ = try JSONLinesFile(file).read(Trajectory.self) },
        ] as [() throws -> Void] {
            let error = #expect(throws: JSONLinesError.self) { try read() }
            #expect(
                error?.description.hasPrefix("\(file.path), line 1: it is longer than 32 MiB") == true
                    && error?.description.contains("the file has 32 MiB") == true, "\(error as Any)")
        }
        let list = folder.file("list.jsonl")
        try Data("[".utf8 + Data(repeating: UInt8(ascii: " "), count: JSONLinesFile.longestLine) + "]".utf8).write(
            to: list)
        #expect(try RecordFile(list).form == .whole)
    }

    @Test("a missing file is told")
    func missing() {
        let file = folder.file("none.jsonl")
        #expect(throws: JSONLinesError.missing(file: file.path)) { try JSONLinesFile(file).read(Record.self) }
    }
}
