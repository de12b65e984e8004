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
