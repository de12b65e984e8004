import Foundation
import RetortServer
import Testing

@Suite("API keys")
struct APIKeysTests {
    @Test("only whole keys are accepted", arguments: ["", "k", "key-on", "key-one ", "key-onekey-one", "KEY-ONE", "é"])
    func refused(candidate: String) {
        #expect(!APIKeys(["key-one", "key-two"]).accept(candidate))
    }

    @Test("each of several keys is accepted, and none is shown")
    func accepted() {
        let keys = APIKeys(["key-one", "key-two"])
        #expect(keys.accept("key-one") && keys.accept("key-two"))
        var dumped = "\(keys) \(String(reflecting: keys))"
        dump(keys, to: &dumped)
        #expect(!dumped.contains("key-one"))
    }

    @Test("a file has one key a line; one without keys is refused")
    func file() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("retort-keys-\(UUID())")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("# ours\nalpha\n\n  beta  \n".utf8).write(to: file)
        let keys = try APIKeys(file: file)
        #expect(keys.accept("alpha") && keys.accept("beta") && !keys.accept("# ours"))
        try Data("# none\n".utf8).write(to: file)
        #expect(throws: APIKeysError.empty(file.path)) { try APIKeys(file: file) }
    }

    @Test("an empty key lets in nobody, and ends nothing")
    func empty() {
        let keys = APIKeys([""])
        #expect(keys.isRequired)
        #expect(!keys.accept("") && !keys.accept("x"))
        #expect(APIKeys(["", "a"]).accept("a"))
    }
}
