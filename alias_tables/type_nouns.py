"""Which noun names which type of entity, per language: the vocabulary of `entity_types`.

Nouns are those that Wikipedias write in title brackets, in categories and after "is a" in first sentences.
English is listed in full; the other languages have the nouns of films, books, music and games alone.
"""

from collections.abc import Mapping
from types import MappingProxyType


def _by_noun(nouns: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(
        {
            noun.strip(): entity_type
            for entity_type, listed in nouns.items()
            for noun in listed.split(",")
        }
    )


_ENGLISH = {
    "album": "album,EP,ep,extended play,mixtape,soundtrack,soundtrack album,box set,live album",
    "award": "award,prize,medal",
    "book": "novel,novella,book,short story,short stories,story collection,poem,memoir,autobiography,essay"
    ",novel series,book series,novelization,trilogy of novels,poetry collection,play collection,anthology"
    ",light novel,children's book,picture book,nonfiction book,non-fiction book,cookbook,textbook",
    "character": "character,superhero,supervillain,mythology,deity,goddess,fictional detective",
    "comic": "comics,comic,comic book,comic strip,graphic novel,manga,manhwa,manhua,webcomic,comic series"
    ",comic book series,manga series,web comic,comic book limited series,comics series",
    "concept": "genre,music genre,film genre,language,species,genus,family of plants,dialect,religion"
    ",philosophy,disease,profession,chemical element,chemical compound,theorem,number,species group",
    "event": "festival,film festival,music festival,battle,war,election,elections,tournament,season of sport"
    ",disaster,earthquake,concert tour,tour",
    "film": "film,movie,short film,television film,TV film,TV movie,documentary,documentary film,film series"
    ",short,feature film,anime film,film trilogy,motion picture",
    "franchise": "franchise,media franchise,fictional universe",
    "game": "video game,game,board game,card game,role-playing game,video game series,computer game,game series"
    ",arcade game,gamebook,tabletop game,expansion pack",
    "music_group": "band,musical group,group,duo,musical duo,boy band,girl group,orchestra,choir,quartet"
    ",musical ensemble,supergroup,trio,rock band,hip hop group,hip hop duo,music group",
    "organisation": "company,record label,label,publisher,publishing company,publishing house,organization"
    ",organisation,university,college,school,political party,TV channel,television channel,television network"
    ",TV network,football club,association football club,team,production company,airline,bank,charity,film studio"
    ",studio,brewery,corporation,retailer,newspaper publisher,film production company",
    "periodical": "magazine,newspaper,journal,scientific journal,academic journal,periodical,weekly newspaper"
    ",daily newspaper,literary magazine",
    "person": "actor,actress,singer,musician,rapper,songwriter,singer-songwriter,composer,guitarist,drummer"
    ",bassist,pianist,DJ,record producer,writer,author,novelist,poet,playwright,journalist,essayist,screenwriter"
    ",director,film director,film producer,producer,filmmaker,animator,cartoonist,comics artist,illustrator,artist"
    ",painter,sculptor,photographer,architect,comedian,presenter,television presenter,broadcaster,politician,lawyer"
    ",judge,businessman,businesswoman,entrepreneur,economist,historian,philosopher,scientist,physicist,chemist"
    ",biologist,mathematician,engineer,computer scientist,psychologist,theologian,bishop,priest,saint,king,queen"
    ",emperor,soldier,general,military officer,footballer,soccer player,cricketer,baseball,basketball,ice hockey"
    ",tennis player,boxer,wrestler,golfer,cyclist,athlete,swimmer,racing driver,coach,model,dancer,choreographer"
    ",conductor,opera singer,activist,explorer,naturalist,botanist,critic,editor,translator,voice actor"
    ",stage actor,film actor,people,player,sportsperson,mayor,diplomat,physician,nurse,chef,magician",
    "place": "city,town,village,river,island,lake,mountain,country,state,province,county,district,municipality"
    ",commune,region,neighborhood,neighbourhood,suburb,capital,capital city,hamlet,census-designated place"
    ",unincorporated community,sovereign state,republic,department,castle,church,museum,stadium,building,bridge"
    ",railway station,airport,park,street,square,theatre,theater,hotel,civil parish,township,island country",
    "play": "play,musical,opera,ballet,operetta,stage play,one-act play,stage musical",
    "podcast": "podcast,podcast series,audio drama podcast",
    "product": "software,operating system,app,mobile app,web browser,programming language,automobile,car"
    ",motorcycle,smartphone,video game console,computer,brand,drink,aircraft,toy line",
    "radio": "radio series,radio show,radio program,radio programme,radio drama,radio station,radio play",
    "song": "song,single,instrumental,composition,symphony,concerto,string quartet composition,hymn,anthem,carol"
    ",nursery rhyme,aria",
    "television": "TV series,television series,TV programme,TV program,television programme,television program"
    ",television show,TV show,miniseries,TV miniseries,TV serial,television serial,telenovela,sitcom,soap opera"
    ",talk show,game show,reality show,web series,anime,anime series,anime television series,animated series"
    ",television sitcom,drama series,comedy series,documentary series,television miniseries,TV special"
    ",television special,streaming television series,reality television series,drama television series",
    "work": "painting,sculpture,photograph,statue,music video,installation",
}
_PLURALS = {  # heads of category names
    "album": "albums,EPs,soundtracks,mixtapes",
    "book": "novels,novellas,books,short stories,poems,memoirs,autobiographies,essays,novel series,book series"
    ",children's books,anthologies,biographies,poetry books,short story collections",
    "character": "characters,superheroes,supervillains,deities",
    "comic": "comics,comic strips,graphic novels,manga,webcomics,comics titles,manga series",
    "concept": "genres,music genres,languages,species,diseases,occupations",
    "event": "festivals,film festivals,battles,wars,elections,competitions",
    "film": "films,documentaries,short films,film series",
    "franchise": "franchises,media franchises",
    "game": "video games,games,board games,card games,role-playing games",
    "music_group": "bands,musical groups,music groups,orchestras,choirs,quartets,duos,girl groups,boy bands"
    ",musical duos,musical trios,musical quartets,musical quintets,supergroups",
    "organisation": "companies,record labels,publishers,universities,schools,clubs,organizations,organisations"
    ",teams,political parties,studios,television channels,television networks",
    "periodical": "magazines,newspapers,journals",
    "person": "people,births,deaths,actors,actresses,singers,musicians,rappers,songwriters,composers,guitarists"
    ",drummers,writers,authors,novelists,poets,dramatists and playwrights,journalists,screenwriters,directors"
    ",film directors,producers,artists,painters,politicians,players,footballers,alumni,women,men,comedians"
    ",philosophers,scientists,mathematicians,physicists,singer-songwriters,male actors,emigrants,lawyers"
    ",record producers,pianists,presenters,historians,economists,businesspeople,cartoonists,photographers",
    "place": "cities,towns,villages,rivers,islands,lakes,mountains,countries,populated places,municipalities"
    ",communes,buildings and structures,neighborhoods,neighbourhoods,suburbs,counties,provinces,museums,capitals",
    "play": "plays,musicals,operas,ballets",
    "podcast": "podcasts,audio podcasts",
    "product": "vehicles,cars,software,brands,mobile phones,video game consoles,operating systems",
    "radio": "radio programs,radio programmes,radio series,radio stations,radio dramas",
    "song": "songs,singles,compositions,symphonies,hymns,anthems",
    "television": "television series,television shows,television programs,television programmes,miniseries"
    ",television miniseries,television episodes,sitcoms,telenovelas,web series,anime series,television specials",
    "work": "paintings,sculptures,photographs,music videos,statues",
}
_OTHERS: Mapping[str, Mapping[str, str]] = {
    "de": {
        "film": "Film,Kurzfilm,Fernsehfilm,Spielfilm,Dokumentarfilm,Zeichentrickfilm,Filmreihe",
        "television": "Fernsehserie,Fernsehsendung,Miniserie,Zeichentrickserie,Anime",
        "book": "Roman,Buch,Novelle,Erzählung,Kurzgeschichte,Gedicht,Romanreihe,Buchreihe,Kinderbuch",
        "album": "Album,Studioalbum,Livealbum",
        "song": "Lied,Song,Single",
        "music_group": "Band,Musikgruppe,Rockband,Gruppe",
        "game": "Computerspiel,Spiel,Brettspiel,Videospiel",
        "comic": "Comic,Manga,Comicserie",
        "play": "Oper,Musical,Theaterstück,Drama,Operette",
        "periodical": "Zeitschrift,Zeitung",
        "podcast": "Podcast",
    },
    "fr": {
        "film": "film,court métrage,téléfilm,long métrage,film documentaire",
        "television": "série télévisée,émission de télévision,mini-série,anime,feuilleton télévisé",
        "book": "roman,livre,nouvelle,recueil,essai,poème,série littéraire",
        "album": "album,EP",
        "song": "chanson,single",
        "music_group": "groupe,groupe de musique,groupe musical",
        "game": "jeu vidéo,jeu,jeu de société,série de jeux vidéo",
        "comic": "bande dessinée,manga,comics",
        "play": "opéra,pièce de théâtre,comédie musicale,opérette",
        "periodical": "magazine,journal,revue",
        "podcast": "podcast,balado",
    },
    "es": {
        "film": "película,cortometraje,telefilme,documental",
        "television": "serie de televisión,programa de televisión,miniserie,telenovela,anime",
        "book": "novela,libro,cuento,poema,relato",
        "album": "álbum",
        "song": "canción,sencillo",
        "music_group": "banda,grupo,grupo musical",
        "game": "videojuego,juego,juego de mesa",
        "comic": "historieta,manga,cómic",
        "play": "ópera,obra de teatro,musical,zarzuela",
        "periodical": "revista,periódico",
        "podcast": "pódcast,podcast",
    },
    "it": {
        "film": "film,cortometraggio,film documentario",
        "television": "serie televisiva,programma televisivo,miniserie televisiva,anime",
        "book": "romanzo,libro,racconto,poesia",
        "album": "album,EP",
        "song": "brano musicale,singolo,canzone",
        "music_group": "gruppo musicale",
        "game": "videogioco,gioco,gioco da tavolo",
        "comic": "fumetto,manga",
        "play": "opera teatrale,musical,operetta",
        "periodical": "rivista,giornale,periodico",
        "podcast": "podcast",
    },
    "zh": {
        "film": "电影,電影,影片,短片,纪录片,紀錄片,动画电影,動畫電影",
        "television": "电视剧,電視劇,电视节目,電視節目,动画,動畫,连续剧,連續劇,网络剧",
        "book": "小说,小說,书籍,書籍,诗集,詩集,书,書",
        "album": "专辑,專輯,迷你专辑,迷你專輯",
        "song": "歌曲,单曲,單曲,歌",
        "music_group": "乐队,樂隊,乐团,樂團,组合,組合,音乐组合",
        "game": "游戏,遊戲,电子游戏,電子遊戲,桌上遊戲",
        "comic": "漫画,漫畫",
        "play": "歌剧,歌劇,音乐剧,音樂劇,戏剧,戲劇",
        "periodical": "杂志,雜誌,报纸,報紙,期刊",
        "podcast": "播客",
        "person": "演员,演員,歌手,作家,导演,導演,音乐家,音樂家,诗人,詩人,政治人物",
    },
    "ja": {
        "film": "映画,アニメ映画",
        "television": "テレビドラマ,テレビ番組,アニメ,テレビアニメ",
        "book": "小説,書籍,ライトノベル",
        "album": "アルバム,ミニアルバム",
        "song": "曲,シングル,楽曲",
        "music_group": "バンド,音楽グループ,グループ",
        "game": "ゲーム,コンピュータゲーム",
        "comic": "漫画",
        "play": "オペラ,ミュージカル,戯曲",
        "periodical": "雑誌,新聞",
        "podcast": "ポッドキャスト",
    },
}
NOUNS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": _by_noun(_ENGLISH),
        **{language: _by_noun(nouns) for language, nouns in _OTHERS.items()},
    }
)
"""Language to noun to type, as titles and sentences write it: "film" is film."""
ENGLISH_PLURALS = _by_noun(_PLURALS)
"""Heads of English category names: "1995 films"."""
