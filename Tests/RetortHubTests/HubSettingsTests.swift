import Foundation
import Testing

@testable import RetortHub

@Suite("Where the hub and its cache are")
struct HubSettingsTests {
    @Test("the environment's variables count as huggingface_hub has them")
    func variables() throws {
        let plain = HubSettings(environment: ["HOME": "/home/x"])
        #expect(plain.endpoint == "https://huggingface.co")
        #expect(plain.cache.path == "/home/x/.cache/huggingface/hub")
        #expect(plain.token == nil && !plain.isOffline)
        let home = HubSettings(environment: [
            "HOME": "/home/x", "HF_HOME": "/data/hf", "HF_ENDPOINT": "https://mirror.example/",
        ])
        #expect(home.cache.path == "/data/hf/hub")
        #expect(home.endpoint == "https://mirror.example")
        #expect(HubSettings(environment: ["HF_HOME": "/data/hf", "HF_HUB_CACHE": "/c"]).cache.path == "/c")
        #expect(
            HubSettings(environment: ["HOME": "/home/x", "XDG_CACHE_HOME": "/y"]).cache.path == "/y/huggingface/hub")
        for (value, isOffline) in [("1", true), ("true", true), ("ON", true), ("0", false), ("", false), ("no", false)]
        {
            #expect(HubSettings(environment: ["HF_HUB_OFFLINE": value]).isOffline == isOffline)
        }
    }

    @Test("a token comes from the environment, or from the file that logging in leaves")
    func tokens() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data("hf_stored\n".utf8).write(to: folder.appendingPathComponent("token"))
        #expect(HubSettings(environment: ["HF_HOME": folder.path]).token?.secret == "hf_stored")
        #expect(HubSettings(environment: ["HF_HOME": folder.path, "HF_TOKEN": " hf_own "]).token?.secret == "hf_own")
        #expect(HubSettings(environment: ["HF_TOKEN": "hf_a\r\nb"]).token == nil)
    }
}
