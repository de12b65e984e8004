import Foundation
import RetortCore
import Testing

@testable import RetortLLM

/// Right values are those of the Python package `gguf` (`Tools/make_gguf_blocks.py`).
@Suite("Numbers out of ggml's blocks")
struct GGUFBlockTests {
    struct Golden: Decodable, CustomTestStringConvertible {
        let name: String
        let type: UInt32
        let data: Data
        let numbers: Data

        var testDescription: String { name }

        static let all: [Golden] = {
            let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("GGUF/blocks.jsonl")
            let lines = (try? String(contentsOf: file, encoding: .utf8))?.split(separator: "\n") ?? []
            return lines.compactMap { try? JSONDecoder().decode(Golden.self, from: Data($0.utf8)) }
        }()
    }

    @Test("every type gives the same numbers, bit for bit", arguments: Golden.all)
    func numbers(golden: Golden) throws {
        let storage = try #require(GGUFStorage(rawValue: golden.type))
        #expect(storage.name == golden.name)
        let found = golden.data.withUnsafeBytes { GGUFBlocks.floats($0, storage) }
        let expected = golden.numbers.withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self) }
        }
        #expect(found.map(\.bitPattern) == expected)
    }

    @Test("no type that is read lacks its values")
    func complete() {
        #expect(Set(Golden.all.map(\.type)) == Set(GGUFStorage.allCases.map(\.rawValue)))
    }
}
