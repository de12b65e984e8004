import Foundation
import Testing

@testable import RetortRecipes

@Suite("Models in GGUF files, by content")
struct GGUFDigestTests {
    /// A file with no tensors and one key.
    private func file(_ value: UInt8) -> Data {
        func little(_ number: UInt64) -> Data { withUnsafeBytes(of: number.littleEndian) { Data($0) } }
        let head = Data("GGUF".utf8) + Data([3, 0, 0, 0]) + little(0) + little(1)
        return head + little(1) + Data("k".utf8) + Data([0, 0, 0, 0, value])
    }

    @Test("a file is known by what is in it, whatever it is called")
    func digest() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let places = ["a.gguf", "b.gguf", "c.gguf"].map { folder.appendingPathComponent($0) }
        for (place, value) in zip(places, [1, 1, 2] as [UInt8]) { try file(value).write(to: place) }
        let digests = try places.map { try FileDigests().model($0) }
        #expect(digests[0] == digests[1])
        #expect(digests[0] != digests[2])
        #expect(try FileDigests().modelIfThere(places[0]) == digests[0])
    }
}
