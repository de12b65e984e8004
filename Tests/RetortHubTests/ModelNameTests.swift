import Testing

@testable import RetortHub

@Suite("Names of models")
struct ModelNameTests {
    @Test("a repository, its revision and a GGUF file are told apart")
    func parts() throws {
        // snippet: A name
        let name = try #require(ModelName("Qwen/Qwen2.5-0.5B@refs/pr/1:Q4_K_M"))
        #expect(name.repository == "Qwen/Qwen2.5-0.5B")
        #expect(name.revision == "refs/pr/1")
        #expect(name.quantization == "Q4_K_M")
        // end snippet
        #expect(name.description == "Qwen/Qwen2.5-0.5B@refs/pr/1:Q4_K_M")
        #expect(ModelName("a/b")?.revision == nil)
        #expect(ModelName("HuggingFaceTB/SmolLM2-135M")?.folder == "models--HuggingFaceTB--SmolLM2-135M")
    }

    @Test(
        "what is no name is none",
        arguments: [
            "", "gpt2", "a/b/c", "/a/b", "a/", "/b", "a/../b", "a/..", "./a", "../a", "a/b.git", "a/-b", "a/b-",
            "a/b--c", "a/b@",
            "a/b:", "a/b@../x", "a/b@/x", "a/b@x//y", "a b/c", "a/b\n", "ü/b", "a/b@x y",
            String(repeating: "a", count: 96) + "/b",
        ])
    func refused(text: String) { #expect(ModelName(text) == nil) }
}
