import Foundation
import RetortCore
import Testing

@Suite("Files written whole")
struct AtomicFileTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-file-\(UUID())")

    @Test("a file is replaced, and one that could not be written stays as it was")
    func replaced() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("f")
        try AtomicFile.write(Data("old".utf8), to: file)
        #expect(throws: AtomicFileError.self) {
            try AtomicFile.write(to: file) { handle in
                try handle.write(contentsOf: Data("half".utf8))
                throw CancellationError()
            }
        }
        #expect(try Data(contentsOf: file) == Data("old".utf8))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["f"])
    }

    @Test("permissions stay, a link's target is replaced, and nothing that stands in the way is written through")
    func names() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (file, link) = (folder.appendingPathComponent("f"), folder.appendingPathComponent("link"))
        try AtomicFile.write(Data("old".utf8), to: file)
        #expect(chmod(file.path, 0o600) == 0)
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: file)
        // The name that a temporary file once had, as somebody else may plant it in a shared folder.
        let trap = folder.appendingPathComponent(".f.\(ProcessInfo.processInfo.processIdentifier).tmp")
        let victim = folder.appendingPathComponent("victim")
        try Data("untouched".utf8).write(to: victim)
        try FileManager.default.createSymbolicLink(at: trap, withDestinationURL: victim)
        try AtomicFile.write(Data("new".utf8), to: link)
        #expect(try Data(contentsOf: file) == Data("new".utf8))
        #expect(try Data(contentsOf: victim) == Data("untouched".utf8))
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link.path) == file.path)
        var status = stat()
        #expect(stat(file.path, &status) == 0 && status.st_mode & 0o7777 == 0o600)
    }

    @Test("writers in one process do not meet: the file is one of theirs, whole")
    func concurrent() async throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("f")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<16 {
                group.addTask {
                    try AtomicFile.write(Data(String(repeating: "\(writer) ", count: 10_000).utf8), to: file)
                }
            }
            try await group.waitForAll()
        }
        let words = Set(try String(contentsOf: file, encoding: .utf8).split(separator: " "))
        #expect(words.count == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["f"])
    }

    @Test("a pipe is written to and stays a pipe, as a device would")
    func pipe() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("pipe")
        try #require(mkfifo(path.path, 0o600) == 0)
        let descriptor = open(path.path, O_RDWR | O_NONBLOCK)
        defer { close(descriptor) }
        try AtomicFile.write(Data("text".utf8), to: path)
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = read(descriptor, &bytes, bytes.count)
        #expect(bytes.prefix(max(count, 0)) == Array("text".utf8)[...])
        var status = stat()
        #expect(stat(path.path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
    }
}
